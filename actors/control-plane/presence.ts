import { type Actor, createActor, fromCallback } from "xstate";
import type { Clock } from "../../src/clock.ts";
import { forgetNode, type LatticeView } from "../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { type NodePresenceEvent, nodePresenceMachine } from "./node-presence-machine.ts";

/** Whether a node is in reach, as its listener judges. */
export type PresenceStatus = "alive" | "suspect" | "lost" | "back";

/** The presence of every node that was heard of. */
export interface Presence {
  /** A node that was never heard is lost. */
  statusOf(nodeId: string): PresenceStatus;
  heard(nodeId: string): void;
  /** It is known from another control plane alone, which has lost it. */
  recalled(nodeId: string): void;
  /** Calls back once when this life of the node is over: it is judged lost, or it has begun another one. */
  onEnd(nodeId: string, listener: () => void): () => void;
  /** Somebody else says that it is gone: it is asked at once. */
  doubt(nodeId: string): void;
  busLost(): void;
  busRegained(): void;
  stop(): void;
}

interface Present {
  readonly actor: Actor<typeof nodePresenceMachine>;
  toldAt: number;
  epoch: number | undefined;
}

/** What presence needs of the world. */
export interface PresenceWorld {
  view: LatticeView;
  clock: Clock;
  log: Log;
  /** Asks a silent node whether it is there; returns how to end that. */
  probe: (nodeId: string, tell: (event: NodePresenceEvent) => void) => () => void;
  /** A node is judged otherwise than before. */
  onChange: (nodeId: string, status: PresenceStatus) => void;
}

/** Keeps one presence machine per node; a node that it forgets is taken out of the view as well. */
export function createPresence({ view, clock, log, probe, onChange }: PresenceWorld): Presence {
  const nodes = new Map<string, Present>();
  const waiting = new Map<string, Set<() => void>>();
  const epochOf = (nodeId: string) => view.nodes.get(nodeId)?.epoch;

  function tellEnd(nodeId: string): void {
    const listeners = waiting.get(nodeId);
    waiting.delete(nodeId);
    for (const listener of listeners ?? []) listener();
  }

  function begin(nodeId: string): void {
    const machine = nodePresenceMachine.provide({
      actors: {
        probe: fromCallback<NodePresenceEvent>(({ sendBack }) => probe(nodeId, sendBack)),
      },
    });
    const actor = createActor(machine, { clock });
    let before: PresenceStatus = "alive";
    actor.subscribe((snapshot) => {
      const status = statusIn(snapshot.value);
      if (status === before) return;
      log.info({ node: nodeId, from: before, to: status }, "a node's presence changed");
      before = status;
      if (status === "lost") tellEnd(nodeId);
      onChange(nodeId, status);
    });
    actor.subscribe({
      complete() {
        nodes.delete(nodeId);
        forgetNode(view, nodeId);
      },
    });
    nodes.set(nodeId, { actor, toldAt: clock.now(), epoch: epochOf(nodeId) });
    actor.start();
  }

  return {
    statusOf(nodeId) {
      return statusIn(nodes.get(nodeId)?.actor.getSnapshot().value ?? "lost");
    },
    heard(nodeId) {
      const present = nodes.get(nodeId);
      if (present === undefined) return begin(nodeId);
      const epoch = epochOf(nodeId);
      if (epoch !== present.epoch) {
        present.epoch = epoch;
        tellEnd(nodeId);
      }
      const recent = clock.now() - present.toldAt < controlPlaneLimits.heardEveryMs;
      if (recent && present.actor.getSnapshot().value === "alive") return;
      present.toldAt = clock.now();
      present.actor.send({ type: "heard" });
    },
    recalled(nodeId) {
      if (nodes.has(nodeId)) return;
      begin(nodeId);
      nodes.get(nodeId)?.actor.send({ type: "recalled" });
    },
    doubt(nodeId) {
      nodes.get(nodeId)?.actor.send({ type: "doubted" });
    },
    onEnd(nodeId, listener) {
      const listeners = waiting.get(nodeId) ?? new Set();
      waiting.set(nodeId, listeners.add(listener));
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0 && waiting.get(nodeId) === listeners) waiting.delete(nodeId);
      };
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

function statusIn(value: string): PresenceStatus {
  if (value === "suspect" || value === "lost" || value === "back") return value;
  if (value === "vanished") return "suspect";
  return value === "forgotten" ? "lost" : "alive";
}
