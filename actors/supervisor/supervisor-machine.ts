import {
  and,
  assertEvent,
  assign,
  enqueueActions,
  sendTo,
  setup,
  type AnyActorRef,
  type AnyEventObject,
  type DoneActorEvent,
  type ErrorActorEvent,
} from "xstate";
import type { Chance } from "../../src/chance.ts";
import { restartLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { policyLimits, type RestartPolicyLimits } from "../restart-policy/policy-limits.ts";
import {
  reportAfter,
  type ChildFact,
  type ChildReport,
  type ChildSpec,
  type ChildTold,
} from "./child-spec.ts";
import { endOrphans, reasonOf } from "./ended-child.ts";
import { supervisedChildMachine, type PlaceCommand } from "./supervised-child-machine.ts";

/** What a supervisor is started with. */
export interface SupervisorInput {
  /** Started in this order, ended in the reverse one. */
  children: readonly ChildSpec[];
  /** Milliseconds since the epoch, of the same clock as the actor system's. */
  now: () => number;
  /** Jitter of children whose policy is `backoff`. */
  chance: Chance;
  /** Whether a child that is given up ends the supervisor too: the others are stopped, then it fails with a `Failure`. */
  escalate?: boolean;
  /** Other bounds than `restartLimits` has for supervisors. */
  limits?: Partial<RestartPolicyLimits>;
}

/** What a supervisor is told to do. */
export type SupervisorCommand =
  /** The id may be one of a child that is stopped or failed: the new one takes its place. */
  | { type: "child.add"; spec: ChildSpec }
  | { type: "child.stop"; id: string }
  /** Whatever its state; a child given up starts afresh, with nothing counted against it. */
  | { type: "child.restart"; id: string }
  /** `event` goes to the child itself. */
  | { type: "child.tell"; id: string; event: AnyEventObject }
  /** Ends all children in reverse order, each before the next, and then itself. */
  | { type: "stop" };

/** What a supervisor emits, and sends to its parent where it has one. */
export type SupervisorFact =
  | ChildFact
  | ChildTold
  /** A command that could not be carried out. */
  | { type: "child.refused"; id: string; reason: string };

type SupervisorEvent = SupervisorCommand | ChildFact | ChildTold | DoneActorEvent | ErrorActorEvent;

/** What the snapshot of a supervisor shows. */
export interface SupervisorContext extends Omit<Required<SupervisorInput>, "children" | "limits"> {
  /** What it was started with; each of them is added like a later one. */
  declared: readonly ChildSpec[];
  /** In the order in which they were added. */
  children: readonly ChildReport[];
  limits: RestartPolicyLimits;
  /** Ids whose places have not ended. */
  open: readonly string[];
  /** Why it ends although nobody stopped it. */
  escalation?: string;
}

/**
 * Runs children and restarts the ones that crash, each by its own restart policy and without touching the others
 * (OTP's strategy one-for-one). A child that crashes too often is given up, visibly, and the rest goes on.
 *
 * ```text
 * ● → supervising ──stop──▶ stopping ──[all ended]──▶ stopped (final)
 *          │                  ▲    └──[all ended, escalating]──▶ failed (an error for the parent)
 *          └──child.failed [escalates]
 * ```
 */
export const supervisorMachine = setup({
  types: {} as {
    context: SupervisorContext;
    events: SupervisorEvent;
    input: SupervisorInput;
    emitted: SupervisorFact;
  },
  actors: { supervisedChild: supervisedChildMachine },
  guards: {
    isFree: ({ context, event }) => {
      assertEvent(event, "child.add");
      const status = find(context, event.spec.id)?.status;
      return status === undefined || status === "stopped" || status === "failed";
    },
    isKnown: ({ context, event }) => {
      assertEvent(event, ["child.stop", "child.restart"]);
      return context.open.includes(event.id);
    },
    isRunning: ({ context, event }) => {
      assertEvent(event, "child.tell");
      return find(context, event.id)?.status === "running";
    },
    escalates: ({ context }) => context.escalate,
    allEnded: ({ context }) => context.open.length === 0,
    hasEscalated: ({ context }) => context.escalation !== undefined,
  },
  actions: {
    addDeclared: enqueueActions(({ context, enqueue }) => {
      for (const spec of context.declared) enqueue.raise({ type: "child.add", spec });
    }),
    openPlace: enqueueActions(({ context, event, enqueue }) => {
      assertEvent(event, "child.add");
      const { spec } = event;
      const { now, chance, limits } = context;
      if (context.open.includes(spec.id)) enqueue.stopChild(spec.id);
      enqueue.spawnChild("supervisedChild", { id: spec.id, input: { spec, now, chance, limits } });
      enqueue.assign({
        open: [...context.open.filter((id) => id !== spec.id), spec.id],
        children: [
          ...context.children.filter((report) => report.id !== spec.id),
          { id: spec.id, status: "starting", restarts: 0 },
        ],
      });
    }),
    command: sendTo(
      ({ event }) => idOf(event),
      ({ event }) => placeCommand(event),
    ),
    markStopping: assign(({ context, event }) => ({
      children: context.children.map((report) =>
        report.id === idOf(event) && report.status !== "stopped" && report.status !== "failed"
          ? { ...report, status: "stopping" as const }
          : report,
      ),
    })),
    refuse: enqueueActions(({ event, enqueue, self }, reason: string) => {
      const refusal: SupervisorFact = { type: "child.refused", id: idOf(event), reason };
      enqueue.emit(refusal);
      if (self._parent !== undefined) enqueue.sendTo(self._parent, refusal);
    }),
    record: assign(({ context, event }) => ({
      children: context.children.map((report) =>
        report.id === idOf(event) ? reportAfter(report, event as ChildFact) : report,
      ),
    })),
    tell: enqueueActions(({ event, enqueue, self }) => {
      enqueue.emit(event as SupervisorFact);
      if (self._parent !== undefined) enqueue.sendTo(self._parent, event);
    }),
    rememberEscalation: assign({
      escalation: ({ event }) => {
        assertEvent(event, "child.failed");
        return `${event.id}: ${event.reason}`;
      },
    }),
    endLastPlace: enqueueActions(({ context, enqueue }) => {
      const last = context.open.at(-1);
      if (last !== undefined) enqueue.sendTo(last, { type: "place.end" });
    }),
    closePlace: enqueueActions(({ context, event, enqueue, self }) => {
      assertEvent(event, ["xstate.done.actor.*", "xstate.error.actor.*"]);
      const place: AnyActorRef | undefined = self.getSnapshot().children[event.actorId];
      if (place?.getSnapshot().status === "error") enqueue(() => endOrphans(place));
      enqueue.stopChild(event.actorId);
      enqueue.assign({ open: context.open.filter((id) => id !== event.actorId) });
    }),
    /** A place fails by a bug of its own alone; its child then counts as given up like any other. */
    reportBrokenPlace: enqueueActions(({ event, enqueue }) => {
      assertEvent(event, "xstate.error.actor.*");
      enqueue.raise({
        type: "child.failed",
        id: event.actorId,
        reason: `its supervision broke: ${reasonOf(event.error)}`,
      });
    }),
    fail: ({ context }) => {
      throw new Failure("INTERNAL_ERROR", `a supervised part is given up: ${context.escalation}`, {
        fix: "Look for the crashes of that part in the log, remove their cause and start this process again.",
      });
    },
  },
}).createMachine({
  id: "supervisor",
  context: ({ input }) => ({
    declared: input.children,
    children: [],
    open: [],
    now: input.now,
    chance: input.chance,
    escalate: input.escalate ?? false,
    limits: supervisorLimits(input.limits),
  }),
  entry: "addDeclared",
  initial: "supervising",
  on: {
    "child.started": { actions: ["record", "tell"] },
    "child.crashed": { actions: ["record", "tell"] },
    "child.restarting": { actions: ["record", "tell"] },
    "child.failed": { actions: ["record", "tell"] },
    "child.stopped": { actions: ["record", "tell"] },
    "child.told": { actions: "tell" },
    "child.*": { actions: { type: "refuse", params: "the supervisor is stopping" } },
    "xstate.error.actor.*": { actions: ["closePlace", "reportBrokenPlace"] },
  },
  states: {
    supervising: {
      on: {
        "child.add": [
          { guard: "isFree", actions: "openPlace" },
          { actions: { type: "refuse", params: "a child of that id is there already; stop it first" } },
        ],
        "child.stop": [
          { guard: "isKnown", actions: ["markStopping", "command"] },
          { actions: { type: "refuse", params: "no child of that id" } },
        ],
        "child.restart": [
          { guard: "isKnown", actions: "command" },
          { actions: { type: "refuse", params: "no child of that id" } },
        ],
        "child.tell": [
          { guard: "isRunning", actions: "command" },
          { actions: { type: "refuse", params: "no child of that id is running" } },
        ],
        "child.failed": [
          { guard: "escalates", target: "stopping", actions: ["record", "tell", "rememberEscalation"] },
          { actions: ["record", "tell"] },
        ],
        stop: "stopping",
      },
    },
    stopping: {
      entry: "endLastPlace",
      always: [
        { guard: and(["allEnded", "hasEscalated"]), target: "failed" },
        { guard: "allEnded", target: "stopped" },
      ],
      on: {
        "xstate.done.actor.*": { target: "stopping", reenter: true, actions: "closePlace" },
        "xstate.error.actor.*": {
          target: "stopping",
          reenter: true,
          actions: ["closePlace", "reportBrokenPlace"],
        },
      },
    },
    failed: { entry: "fail" },
    stopped: { type: "final" },
  },
});

/** The report of a child, of any status. */
function find(context: SupervisorContext, id: string): ChildReport | undefined {
  return context.children.find((report) => report.id === id);
}

function supervisorLimits(given: Partial<RestartPolicyLimits> = {}): RestartPolicyLimits {
  return policyLimits({
    intensity: restartLimits.supervisorIntensity,
    periodMs: restartLimits.supervisorPeriodMs,
    ...given,
  });
}

function idOf(event: SupervisorEvent): string {
  if ("id" in event) return event.id;
  return "spec" in event ? event.spec.id : "";
}

function placeCommand(event: SupervisorEvent): PlaceCommand {
  assertEvent(event, ["child.stop", "child.restart", "child.tell"]);
  if (event.type === "child.tell") return { type: "place.tell", event: event.event };
  return { type: event.type === "child.stop" ? "place.stop" : "place.restart" };
}
