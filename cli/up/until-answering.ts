import type { Client } from "../../src/client/client.ts";
import { cliLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Session } from "../session.ts";

/**
 * Resolves with true once a control plane knows a node that takes guests and an available provider, with false when
 * the signal comes first. Looks again at each fact, heartbeats included. Rejects with TIMEOUT.
 */
export async function untilAnswering(
  session: Session,
  url: string,
  abandoned: AbortSignal,
): Promise<boolean> {
  const { clock, lattice } = session;
  const client = await session.connect({
    servers: url,
    lattice,
    name: "wasmatrix-up",
    wait: true,
    connectTimeoutMs: cliLimits.partConnectTimeoutMs,
  });
  const facts = client.facts();
  let late = false;
  const deadline = clock.setTimeout(() => {
    late = true;
    facts.close();
  }, cliLimits.upReadyTimeoutMs);
  const onAbandoned = () => facts.close();
  abandoned.addEventListener("abort", onAbandoned, { once: true });
  if (abandoned.aborted) facts.close();
  try {
    await facts.ready;
    if (await isWhole(client)) return true;
    for await (const _fact of facts) if (await isWhole(client)) return true;
    if (late) throw notReady(lattice);
    return false;
  } finally {
    clock.clearTimeout(deadline);
    abandoned.removeEventListener("abort", onAbandoned);
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
