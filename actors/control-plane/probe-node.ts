import { ask } from "../../src/bus/ask.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { type Clock, delay } from "../../src/clock.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { NodePresenceEvent } from "./node-presence-machine.ts";

/** Asks a silent node again and again whether it is there; returns how to end that. */
export function probeNode(
  { lattice, bus, clock }: { lattice: string; bus: Bus; clock: Clock },
  nodeId: string,
  tell: (event: NodePresenceEvent) => void,
): () => void {
  const over = new AbortController();
  const { signal } = over;

  async function probe(): Promise<void> {
    while (!signal.aborted) {
      try {
        const options = { timeoutMs: controlPlaneLimits.probeTimeoutMs, signal };
        await ask(bus, "node.node.ping", { lattice, node: nodeId }, {}, options);
        if (!signal.aborted) tell({ type: "heard" });
      } catch (error) {
        // Only the bus's own word that nobody listens counts: no answer in time may be our own fault.
        if (!signal.aborted && asFailure(error).details?.["noResponders"] === true)
          tell({ type: "probe.vanished" });
      }
      await delay(clock, controlPlaneLimits.probeEveryMs, signal);
    }
  }

  // Ends by the signal alone, whose reason is nothing to report.
  probe().catch(() => undefined);
  return () => over.abort(new Error("nobody wants to know any more"));
}
