import { readFileSync } from "node:fs";
import { connectClient } from "../../src/bus/nats-client.ts";
import { type Clock, delay } from "../../src/clock.ts";
import { authLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import { type AuthDirectory, authFiles } from "../../src/trust/auth-directory.ts";

/** What became of a change: the server of this folder counts it, does not run here, or did not take it in time. */
export type Reloaded = "counts" | "not running here" | "not confirmed";

/** Where the server of that folder listens. */
export function urlOf({ known: { server } }: AuthDirectory): string {
  const host = ["0.0.0.0", "::", ""].includes(server.host) ? "127.0.0.1" : server.host;
  const scheme = server.tls === undefined ? "nats" : "tls";
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${server.port}`;
}

/** The process of the server that runs with this folder, as its pid file says; undefined where there is none. */
export function runningServer(directory: AuthDirectory): number | undefined {
  try {
    const pid = Number(readFileSync(authFiles(directory.path).pid, "utf8"));
    if (!Number.isInteger(pid) || pid < 2) return undefined;
    process.kill(pid, 0);
    // The file outlives a server that was killed, and its number may be another's by now.
    if (process.platform === "linux" && !readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("nats-server"))
      return undefined;
    return pid;
  } catch {
    return undefined;
  }
}

/**
 * Has the server read its configuration again, and waits until those credentials are taken, or refused where that is
 * what was changed.
 */
export async function reloadServer(
  directory: AuthDirectory,
  clock: Clock,
  expected?: { readonly credsFile: string; readonly isTaken: boolean },
): Promise<Reloaded> {
  const pid = runningServer(directory);
  if (pid === undefined) return "not running here";
  process.kill(pid, "SIGHUP");
  if (expected === undefined) return "counts";
  const until = clock.now() + authLimits.reloadTimeoutMs;
  while (clock.now() < until) {
    const taken = await isTaken(directory, expected.credsFile, clock);
    if (taken === expected.isTaken) return "counts";
    await delay(clock, authLimits.reloadLookMs);
  }
  return "not confirmed";
}

/** Whether the server takes those credentials now; undefined where it cannot be asked. */
export async function isTaken(
  directory: AuthDirectory,
  credsFile: string,
  clock: Clock,
  servers: string = urlOf(directory),
): Promise<boolean | undefined> {
  const ca = directory.known.server.tls?.ca;
  try {
    const client = await connectClient(
      {
        servers: servers.split(","),
        name: "wasmatrix auth",
        credsFile,
        waitOnFirstConnect: false,
        connectTimeoutMs: authLimits.strangerTimeoutMs,
        ...(ca === undefined ? {} : { tls: { caFile: ca } }),
      },
      clock,
    );
    await client.close().catch(() => undefined);
    return true;
  } catch (error) {
    return asFailure(error).details?.["unauthorized"] === true ? false : undefined;
  }
}
