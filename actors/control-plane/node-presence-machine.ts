import { setup } from "xstate";
import { controlPlaneLimits as limits } from "../../src/limits.ts";

/** What a node's presence is told. */
export type NodePresenceEvent = { type: "heard" } | { type: "bus.lost" } | { type: "bus.regained" };

/**
 * Whether a node is there, judged by its silence alone. While the listener itself is off the bus nothing is judged:
 * losing the bus is never read as losing the nodes.
 *
 * ```text
 *   ● → alive ──after suspectTimeout──▶ suspect ──after lostTimeout──▶ lost ──after forgetTimeout──▶ forgotten (final)
 *         ▲ │                             │                             │
 *         │ └──────────bus.lost───────────┤                             │
 *         │                               ▼                             │
 *         ├────bus.regained, heard──── unjudged                         │
 *         └──heard──────────────────────────────────────────────────────┘
 * ```
 *
 * Any fact is `heard`, and in `alive` it restarts the timer.
 */
export const nodePresenceMachine = setup({
  types: {} as { events: NodePresenceEvent },
  delays: {
    suspectTimeout: limits.suspectAfterMs,
    lostTimeout: limits.lostAfterMs - limits.suspectAfterMs,
    forgetTimeout: limits.forgetAfterMs,
  },
}).createMachine({
  id: "node-presence",
  initial: "alive",
  states: {
    alive: {
      on: { heard: { target: "alive", reenter: true }, "bus.lost": "unjudged" },
      after: { suspectTimeout: "suspect" },
    },
    suspect: {
      on: { heard: "alive", "bus.lost": "unjudged" },
      after: { lostTimeout: "lost" },
    },
    unjudged: { on: { heard: "alive", "bus.regained": "alive" } },
    lost: {
      on: { heard: "alive" },
      after: { forgetTimeout: "forgotten" },
    },
    forgotten: { type: "final" },
  },
});
