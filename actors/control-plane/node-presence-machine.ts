import { type AnyActorLogic, setup } from "xstate";
import { controlPlaneLimits as limits } from "../../src/limits.ts";

/** What a node's presence is told. */
export type NodePresenceEvent =
  | { type: "heard" }
  /** There is a reason to ask, although it has not been silent for long. */
  | { type: "doubted" }
  /** Another control plane knows of it, and has lost it. */
  | { type: "recalled" }
  | { type: "bus.lost" }
  | { type: "bus.regained" }
  /** The bus says that nobody listens where that node would. */
  | { type: "probe.vanished" };

/**
 * Whether a node is there. Silence raises the question and the bus often knows the answer: nobody listens where a dead
 * node did. While the listener itself is off the bus nothing is judged: losing the bus is never read as losing the nodes.
 *
 * ```text
 *   ● → alive ─doubted,quietTimeout─▶ quiet ──after suspectTimeout──▶ suspect ──after lostTimeout──▶ lost
 *         ▲ │                        probes│                        probes│                          │ │
 *         │ │                              └──probe.vanished──▶ vanished ◀┘                          │ └─after forgetTimeout─▶ forgotten (final)
 *         │ │                                                   probes│──after vanishTimeout─────────┘
 *         │ ├─recalled─▶ lost
 *         │ └─bus.lost (from any judged state)─▶ unjudged ──heard, bus.regained──▶ alive
 *         ├──heard── quiet, suspect, vanished
 *         └──after backTimeout── back ◀──heard── lost
 * ```
 *
 * Any fact is `heard`, also the answer to a probe, and in `alive` it restarts the timer. A node that was lost is `back`
 * for a while before it is trusted with new work: one that flaps must not draw instances to it each time.
 */
export const nodePresenceMachine = setup({
  types: {} as { events: NodePresenceEvent },
  actors: {} as Record<string, AnyActorLogic>,
  delays: {
    quietTimeout: limits.quietAfterMs,
    suspectTimeout: limits.suspectAfterMs - limits.quietAfterMs,
    lostTimeout: limits.lostAfterMs - limits.suspectAfterMs,
    vanishTimeout: limits.vanishedMs,
    backTimeout: limits.backMs,
    forgetTimeout: limits.forgetAfterMs,
  },
}).createMachine({
  id: "node-presence",
  initial: "alive",
  states: {
    alive: {
      on: {
        heard: { target: "alive", reenter: true },
        doubted: "quiet",
        recalled: "lost",
        "bus.lost": "unjudged",
      },
      after: { quietTimeout: "quiet" },
    },
    quiet: {
      invoke: { src: "probe" },
      on: { heard: "alive", "bus.lost": "unjudged", "probe.vanished": "vanished" },
      after: { suspectTimeout: "suspect" },
    },
    vanished: {
      invoke: { src: "probe" },
      on: { heard: "alive", "bus.lost": "unjudged" },
      after: { vanishTimeout: "lost" },
    },
    suspect: {
      invoke: { src: "probe" },
      on: { heard: "alive", "bus.lost": "unjudged", "probe.vanished": "vanished" },
      after: { lostTimeout: "lost" },
    },
    unjudged: { on: { heard: "alive", "bus.regained": "alive" } },
    lost: {
      on: { heard: "back" },
      after: { forgetTimeout: "forgotten" },
    },
    back: {
      on: { "bus.lost": "unjudged" },
      after: { backTimeout: "alive" },
    },
    forgotten: { type: "final" },
  },
});
