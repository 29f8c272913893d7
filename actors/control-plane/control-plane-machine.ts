import { fromCallback, fromPromise, setup } from "xstate";
import { controlPlaneLimits } from "../../src/limits.ts";

/** What a control plane is told. */
export type ControlPlaneEvent =
  | { type: "bus.connected" }
  | { type: "bus.disconnected" }
  | { type: "settled" }
  | { type: "stop" };

/**
 * One control plane's life. What the states mean for an answer: only in `ready` may a view without gaps call itself
 * complete. Commands are served in every state but the last two.
 *
 * ```text
 *   ● → connecting ──bus.connected──▶ rebuilding ──settled, after rebuildTimeout──▶ ready
 *                                        ▲  │                                         │
 *                          bus.connected │  │ bus.disconnected                        │ bus.disconnected
 *                                        │  ▼                                         │
 *                                     out-of-touch ◀──────────────────────────────────┘
 *
 *   any of them ──stop──▶ draining ──commands answered, after drainTimeout──▶ stopped (final)
 * ```
 */
export const controlPlaneMachine = setup({
  types: {} as { events: ControlPlaneEvent },
  actors: {
    watchSettling: fromCallback<ControlPlaneEvent>(() => {
      throw new Error("provide watchSettling");
    }),
    drainCommands: fromPromise<void>(() => Promise.reject(new Error("provide drainCommands"))),
  },
  actions: { judgeNodes: () => {}, judgeNobody: () => {}, announceReady: () => {} },
  delays: {
    rebuildTimeout: controlPlaneLimits.rebuildMsMax,
    drainTimeout: controlPlaneLimits.drainMs,
  },
}).createMachine({
  id: "control-plane",
  initial: "serving",
  states: {
    serving: {
      initial: "connecting",
      on: { stop: "draining" },
      states: {
        connecting: { on: { "bus.connected": "rebuilding" } },
        rebuilding: {
          invoke: { src: "watchSettling" },
          on: { settled: "ready", "bus.disconnected": "out-of-touch" },
          after: { rebuildTimeout: "ready" },
        },
        ready: { entry: "announceReady", on: { "bus.disconnected": "out-of-touch" } },
        "out-of-touch": {
          entry: "judgeNobody",
          on: { "bus.connected": { target: "rebuilding", actions: "judgeNodes" } },
        },
      },
    },
    draining: {
      invoke: { src: "drainCommands", onDone: "stopped", onError: "stopped" },
      after: { drainTimeout: "stopped" },
    },
    stopped: { type: "final" },
  },
});
