import { ask } from "../../src/bus/ask.ts";
import type { Subscription } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import { nodeLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { NodeWorld } from "./node-world.ts";

/** Serves what is asked of the node itself: to drain, to be labelled, and whether it is there. */
export function serveNodeCommands(world: NodeWorld): Subscription[] {
  const { lattice, nodeId, bus, clock, speaker } = world;
  const here = { lattice, node: nodeId };
  return [
    serve(bus, clock, "node.node.ping", here, () => ({ epoch: speaker.epoch })),
    serve(bus, clock, "node.node.drain", here, ({ draining }) => {
      const { status } = speaker.own();
      if (draining && status === "alive") speaker.state("node.draining", {});
      // A node that leaves goes on leaving.
      if (!draining && status === "draining" && !world.isLeaving()) speaker.state("node.resumed", {});
      return {};
    }),
    serve(bus, clock, "node.node.label", here, ({ labels: changes }) => {
      const labels = new Map(Object.entries(speaker.own().joined?.labels ?? {}));
      for (const [label, value] of Object.entries(changes)) {
        if (label.startsWith("wasmatrix.")) continue;
        if (value === null) labels.delete(label);
        else labels.set(label, value);
      }
      speaker.state("node.labelled", { labels: Object.fromEntries(labels) });
      return {};
    }),
  ];
}

/** Asks a control plane to have others take over what runs here. Resolves when they have, or nobody can. */
export async function askToTakeOver({ lattice, nodeId, bus, log, instances }: NodeWorld): Promise<void> {
  if (instances.size === 0 || !bus.connected) return;
  const timeoutMs = nodeLimits.handOverMs;
  try {
    const { moved, left } = await ask(
      bus,
      "leave",
      { lattice, node: nodeId },
      { timeoutMs },
      { timeoutMs: timeoutMs + nodeLimits.flushMs },
    );
    log.info({ moved: moved.length, left: left.length }, "others took over what ran here");
  } catch (error) {
    log.info({ reason: asFailure(error).message }, "nobody takes over what runs here");
  }
}
