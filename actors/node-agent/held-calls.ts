import { type BusMessage, replyTokenOf, type Subscription } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import { delay } from "../../src/clock.ts";
import { lostCallLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { CallRoute } from "../../src/protocol/lost-calls.ts";
import type { HeldAnswer, HeldQuestion } from "../../src/wasm/engine.ts";
import type { NodeWorld } from "./node-world.ts";

/** The calls that a provider of this node works on. */
export type CallsInProgress = ReadonlySet<() => Iterable<BusMessage>>;

/**
 * Says which calls this node holds: in its cells, and in its providers. What it does not name it surely does not hold:
 * that answers may give up a call whose worker was lost, and nothing else may.
 */
export function serveHeldCalls(world: NodeWorld, providerCalls: CallsInProgress): Subscription {
  const { lattice, nodeId, bus, clock } = world;

  async function inProviders(tokens: readonly string[]): Promise<string[]> {
    if (providerCalls.size === 0) return [];
    // What the server had sent before has come by then.
    await bus.flush(lostCallLimits.cellTimeoutMs);
    const wanted = new Set(tokens);
    return [...providerCalls]
      .flatMap((inProgress) => [...inProgress()])
      .map(replyTokenOf)
      .filter((token) => wanted.has(token));
  }

  return serve(
    bus,
    clock,
    "node.call.held",
    { lattice, node: nodeId },
    async ({ guests, providers, tokens }) => {
      const [engine, own] = await Promise.all([
        guests.length === 0 ? nothing : askEngine(world, { guests, tokens }),
        providers.length === 0 ? [] : inProviders(tokens),
      ]);
      return {
        held: [...engine.held, ...own],
        unsure: engine.unsure.map((target): CallRoute => ({ kind: "guest", target })),
        stuck: [...engine.stuck],
      };
    },
  );
}

const nothing: HeldAnswer = { held: [], unsure: [], stuck: [] };

/** An engine that is gone holds nothing; one that does not answer may hold anything. */
async function askEngine({ seat, clock }: NodeWorld, question: HeldQuestion): Promise<HeldAnswer> {
  const engine = seat.current;
  if (engine === undefined) return nothing;
  const answered = new AbortController();
  try {
    const late = delay(clock, lostCallLimits.nodeTimeoutMs, answered.signal).then((): HeldAnswer => ({
      ...nothing,
      unsure: question.guests,
    }));
    return await Promise.race([engine.held(question), late]);
  } catch (error) {
    if (asFailure(error).code === "COMMUNICATION_FAILURE" && seat.current !== engine) return nothing;
    throw error;
  } finally {
    answered.abort(new Error("it is not waited for any more"));
  }
}
