import type { Client } from "../../src/client/client.ts";
import { cliLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Session } from "../session.ts";

/**
 * Resolves with true once the parts have said that they are ready and a control plane knows a node that takes guests and an available provider, with false when
 * the signal comes first. Looks again at each fact, heartbeats included. Rejects with TIMEOUT.
 */
export async function untilAnswering(
  session: Session,
  url: string,
  credsFile: string | undefined,
  partsReady: Promise<void>,
  abandoned: AbortSignal,
): Promise<boolean> {
  const { clock, lattice } = session;
  const client = await session.connect({
    servers: url,
    lattice,
    name: "wasmatrix-up",
    ...(credsFile === undefined ? {} : { credsFile }),
    wait: true,
    connectTimeoutMs: cliLimits.partConnectTimeoutMs,
  });
  const facts = client.facts();
  const over = Promise.withResolvers<void>();
  let late = false;
  const giveUp = () => {
    facts.close();
    over.resolve();
  };
  const deadline = clock.setTimeout(() => {
    late = true;
    giveUp();
  }, cliLimits.upReadyTimeoutMs);
  abandoned.addEventListener("abort", giveUp, { once: true });
  if (abandoned.aborted) giveUp();
  try {
    // A node is known as soon as it has joined, and takes guests only when its engine is up.
    await Promise.race([Promise.all([facts.ready, partsReady]), over.promise]);
    if (!late && !abandoned.aborted && (await isWhole(client))) return true;
    for await (const _fact of facts) if (await isWhole(client)) return true;
    if (late) throw notReady(lattice);
    return false;
  } finally {
    clock.clearTimeout(deadline);
    abandoned.removeEventListener("abort", giveUp);
    await client.close();
  }
}

async function isWhole(client: Client): Promise<boolean> {
  try {
    const [{ nodes }, { providers }] = await Promise.all([client.nodes(), client.providers()]);
    const takesGuests = nodes.some((node) => node.status === "alive" && node.guestKinds.length > 0);
    return takesGuests && providers.some((provider) => provider.status === "available");
  } catch (error) {
    if (error instanceof Failure && error.code === "COMMUNICATION_FAILURE") return false;
    throw error;
  }
}

function notReady(lattice: string): Failure {
  return new Failure("TIMEOUT", `lattice ${lattice} does not answer after ${cliLimits.upReadyTimeoutMs} ms`, {
    fix: "The logs of its parts say why; their folder is <state>/logs.",
  });
}
