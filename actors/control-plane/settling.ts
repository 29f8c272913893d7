import type { Clock } from "../../src/clock.ts";
import { gapsOf, type LatticeView } from "../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import type { Presence } from "./presence.ts";

/**
 * Calls `onSettled` once every node is complete, every node that was known before has been heard again, and for a
 * settle time no node and no life of one was new; nor while a node is missing that was expected. The other control planes
 * are asked last, about those that did not speak; while they know a node that is silent, and have not lost it, they are asked
 * again. Returns how to end the watch.
 */
export function watchSettling(
  world: {
    view: LatticeView;
    presence: Presence;
    clock: Clock;
    isMissing: () => boolean;
    recall: () => Promise<readonly string[]>;
  },
  onSettled: () => void,
): () => void {
  const { view, presence, clock, isMissing, recall } = world;
  const beganAt = clock.now();
  let seen = "";
  let quietSince = beganAt;
  let isEnded = false;
  let timer = clock.setTimeout(look, controlPlaneLimits.settleLookMs);

  function look(): void {
    const now = clock.now();
    const present = [...view.nodes.values()].filter(({ nodeId }) => presence.statusOf(nodeId) !== "lost");
    const shape = present.map(({ nodeId, epoch, knowledge }) => `${nodeId} ${epoch} ${knowledge}`).join();
    const allHeard = present.every((node) => node.status === "left" || node.lastHeardAt >= beganAt);
    const isWhole = gapsOf(view).length === 0 && view.replays.size === 0 && !isMissing();
    if (shape !== seen || !allHeard || !isWhole) {
      seen = shape;
      quietSince = now;
    } else if (now - quietSince >= controlPlaneLimits.settleMs)
      return void recall().then((unheard) => {
        if (isEnded) return;
        if (unheard.length === 0) return onSettled();
        quietSince = clock.now();
        look();
      });
    timer = clock.setTimeout(look, controlPlaneLimits.settleLookMs);
  }

  return () => {
    isEnded = true;
    clock.clearTimeout(timer);
  };
}
