import type { Clock } from "../clock.ts";
import { authLimits } from "../limits.ts";
import { asFailure, Failure } from "../protocol/errors.ts";
import { connectClient, type NatsOptions } from "./nats-client.ts";

/** What became of somebody who came to a server without credentials. */
export type StrangerFate = "refused" | "let in" | "unknown";

/**
 * Tries to sign in without any credentials. `unknown`: that server is not reached, or failed otherwise. Some versions of
 * nats-server let everybody in with a configuration that reads as if they did not (CVE-2023-47090).
 */
export async function fateOfStranger(
  server: string,
  tls: NatsOptions["tls"],
  clock: Clock,
): Promise<StrangerFate> {
  try {
    const client = await connectClient(
      {
        servers: server,
        name: "wasmatrix stranger",
        waitOnFirstConnect: false,
        connectTimeoutMs: authLimits.strangerTimeoutMs,
        ...(tls === undefined ? {} : { tls }),
      },
      clock,
    );
    await client.close().catch(() => undefined);
    return "let in";
  } catch (error) {
    return asFailure(error).details?.["unauthorized"] === true ? "refused" : "unknown";
  }
}

/** Throws PERMISSION_DENIED when one of the servers lets anybody in: then its roles protect nobody. */
export async function assertNoStrangers(
  { servers, tls }: Pick<NatsOptions, "servers" | "tls">,
  clock: Clock,
): Promise<void> {
  const all = typeof servers === "string" ? [servers] : servers;
  const fates = await Promise.all(all.map((server) => fateOfStranger(server, tls, clock)));
  const open = all.filter((_, index) => fates[index] === "let in");
  if (open.length === 0) return;
  throw new Failure(
    "PERMISSION_DENIED",
    `the server at ${open.join(", ")} lets anybody in without credentials`,
    {
      fix: "Run it with the nats.conf of `wasmatrix auth`, without `no_auth_user` and `authorization { users }`, and look with `wasmatrix auth check`. Without roles: leave out --creds.",
      details: { open: true, servers: open },
    },
  );
}
