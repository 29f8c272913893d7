import { type Actor, createActor } from "xstate";
import type { Clock } from "../../src/clock.ts";
import type { LatticeView } from "../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { nodePresenceMachine } from "./node-presence-machine.ts";

/** Whether a node is in reach, as its listener judges. */
export type PresenceStatus = "alive" | "suspect" | "lost";

/** The presence of every node that was heard of. */
export interface Presence {
  /** A node that was never heard is lost. */
  statusOf(nodeId: string): PresenceStatus;
  heard(nodeId: string): void;
  busLost(): void;
  busRegained(): void;
  stop(): void;
}

interface Present {
  readonly actor: Actor<typeof nodePresenceMachine>;
  toldAt: number;
}

/** Keeps one presence machine per node; a node that it forgets is taken out of the view as well. */
export function createPresence({
  view,
  clock,
  log,
}: {
  view: LatticeView;
  clock: Clock;
  log: Log;
}): Presence {
  const nodes = new Map<string, Present>();

  function begin(nodeId: string): void {
    const actor = createActor(nodePresenceMachine, { clock });
    let before = "alive";
    actor.subscribe((snapshot) => {
      if (snapshot.value === before) return;
      log.info({ node: nodeId, from: before, to: snapshot.value }, "a node's presence changed");
      before = snapshot.value;
    });
    actor.subscribe({
      complete() {
        nodes.delete(nodeId);
        view.nodes.delete(nodeId);
        view.replays.delete(nodeId);
      },
    });
    nodes.set(nodeId, { actor, toldAt: clock.now() });
    actor.start();
  }

  return {
    statusOf(nodeId) {
      const value = nodes.get(nodeId)?.actor.getSnapshot().value ?? "lost";
      if (value === "suspect" || value === "lost") return value;
      return value === "forgotten" ? "lost" : "alive";
    },
    heard(nodeId) {
      const present = nodes.get(nodeId);
      if (present === undefined) return begin(nodeId);
      const recent = clock.now() - present.toldAt < controlPlaneLimits.heardEveryMs;
      if (recent && present.actor.getSnapshot().value === "alive") return;
      present.toldAt = clock.now();
      present.actor.send({ type: "heard" });
    },
    busLost() {
      for (const { actor } of nodes.values()) actor.send({ type: "bus.lost" });
    },
    busRegained() {
      for (const { actor } of nodes.values()) actor.send({ type: "bus.regained" });
    },
    stop() {
      // Stopping completes an actor as well; what it then forgets would be lost to the last answers.
      const actors = [...nodes.values()];
      nodes.clear();
      for (const { actor } of actors) actor.stop();
    },
  };
}
