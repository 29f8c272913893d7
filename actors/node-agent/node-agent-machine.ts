import { assertEvent, type DoneActorEvent, fromPromise, sendTo, setup, spawnChild, stopChild } from "xstate";
import type { Chance } from "../../src/chance.ts";
import type { Clock } from "../../src/clock.ts";
import type { ChildSpec } from "../supervisor/child-spec.ts";
import {
  type SupervisorCommand,
  supervisorMachine,
  type SupervisorFact,
} from "../supervisor/supervisor-machine.ts";
import { heartbeat } from "./heartbeat.ts";

/** What a node agent is started with: its parts, and what it does to the world. */
export interface NodeAgentInput {
  clock: Clock;
  chance: Chance;
  /** The engine, and the providers that it begins with. */
  children: readonly ChildSpec[];
  /** Opens what is needed before the node can join. */
  prepare: () => Promise<void>;
  stateJoined: () => void;
  /** Begins to take commands. */
  open: () => void;
  beat: () => void;
  stateDraining: () => void;
  /** Ends instances, then the engine; always resolves. */
  drain: () => Promise<void>;
  /** Takes no commands any more, says goodbye and waits for the bus to have taken it; always resolves. */
  leave: () => Promise<void>;
  onChild: (fact: SupervisorFact) => void;
}

/** What a node agent is told; the facts of its supervisor among it. */
export type NodeAgentEvent =
  | { type: "node.drain" }
  | { type: "bus.reconnected" }
  /** For the supervisor of its parts. */
  | { type: "parts.command"; command: SupervisorCommand }
  | SupervisorFact;

/**
 * A node: it joins, beats, and leaves in order. Its engine and its providers are children of one supervisor;
 * what instances do is their own business.
 *
 * ```text
 *   ● → joining ──prepared──▶ running ──node.drain──▶ draining ──instances ended──▶ closing ──children ended──▶ leaving ──▶ left (final)
 *          │                    │ ▲
 *          │                    └─┘ bus.reconnected / beatNow
 *          ├──node.drain──▶ left (final)
 *          └──not prepared──▶ failed (an error for whoever started it)
 * ```
 */
export const nodeAgentMachine = setup({
  types: {} as { context: NodeAgentInput; events: NodeAgentEvent | DoneActorEvent; input: NodeAgentInput },
  actors: {
    heartbeat,
    supervisor: supervisorMachine,
    prepare: fromPromise<void, NodeAgentInput>(({ input }) => input.prepare()),
    drain: fromPromise<void, NodeAgentInput>(({ input }) => input.drain()),
    leave: fromPromise<void, NodeAgentInput>(({ input }) => input.leave()),
  },
  actions: {
    stateJoined: ({ context }) => context.stateJoined(),
    open: ({ context }) => context.open(),
    beatNow: ({ context }) => context.beat(),
    stateDraining: ({ context }) => context.stateDraining(),
    tellOfChild: ({ context, event }) => context.onChild(event as SupervisorFact),
    startChildren: spawnChild("supervisor", {
      id: "supervisor",
      input: ({ context: { children, clock, chance } }) => ({ children, now: () => clock.now(), chance }),
    }),
    commandParts: sendTo("supervisor", ({ event }) => {
      assertEvent(event, "parts.command");
      return event.command;
    }),
    stopChildren: sendTo("supervisor", { type: "stop" }),
    forgetChildren: stopChild("supervisor"),
  },
}).createMachine({
  id: "node-agent",
  context: ({ input }) => input,
  initial: "joining",
  on: { "child.*": { actions: "tellOfChild" } },
  states: {
    joining: {
      invoke: {
        src: "prepare",
        input: ({ context }) => context,
        // An error is not caught here: it ends this machine, and whoever started it hears of it.
        onDone: { target: "present", actions: ["stateJoined", "open", "startChildren"] },
      },
      on: { "node.drain": "left" },
    },
    present: {
      invoke: { src: "heartbeat", input: ({ context: { clock, beat } }) => ({ clock, beat }) },
      on: {
        "bus.reconnected": { actions: "beatNow" },
        "parts.command": { actions: "commandParts" },
      },
      initial: "running",
      states: {
        running: { on: { "node.drain": "draining" } },
        draining: {
          entry: "stateDraining",
          invoke: { src: "drain", input: ({ context }) => context, onDone: "closing" },
        },
        closing: {
          entry: "stopChildren",
          on: { "xstate.done.actor.*": { target: "#node-agent.leaving", actions: "forgetChildren" } },
        },
      },
    },
    leaving: { invoke: { src: "leave", input: ({ context }) => context, onDone: "left" } },
    left: { type: "final" },
  },
});
