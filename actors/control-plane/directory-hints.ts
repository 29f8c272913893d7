import { ask } from "../../src/bus/ask.ts";
import type { Bus } from "../../src/bus/bus.ts";
import type { Directory } from "../../src/directory/directory.ts";
import type { LatticeView } from "../../src/lattice/view.ts";
import { watchLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import type { Presence } from "./presence.ts";

/**
 * Takes what a directory says as a reason to ask: a node that appears there and is not known is asked for its facts, one that
 * disappears is asked whether it is there. What the view holds comes from the nodes' own facts alone.
 */
export function followDirectory(
  directory: Directory,
  { lattice, bus, view, presence, log }: HintsWorld,
): () => void {
  return directory.onChange((change) => {
    const { nodeId } = change;
    const node = view.nodes.get(nodeId);
    if (change.type === "disappeared") {
      if (node !== undefined && node.status !== "left") presence.doubt(nodeId);
      return;
    }
    if (node !== undefined && node.epoch >= change.epoch) return;
    const timeoutMs = watchLimits.replayRequestTimeoutMs;
    const question = { reason: "the directory names it" };
    ask(bus, "node.fact.replay", { lattice, node: nodeId }, question, { timeoutMs }).catch((error: unknown) =>
      log.debug({ node: nodeId, reason: String(error) }, "a node that the directory names did not answer"),
    );
  });
}

interface HintsWorld {
  readonly lattice: string;
  readonly bus: Bus;
  readonly view: LatticeView;
  readonly presence: Presence;
  readonly log: Log;
}
