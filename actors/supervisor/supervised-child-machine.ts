import {
  and,
  assertEvent,
  assign,
  enqueueActions,
  sendParent,
  sendTo,
  setup,
  stopChild,
  type ActorRefFromLogic,
  type AnyActorLogic,
  type AnyActorRef,
  type AnyEventObject,
  type DoneActorEvent,
  type ErrorActorEvent,
} from "xstate";
import type { Chance } from "../../src/chance.ts";
import { restartLimits } from "../../src/limits.ts";
import type { RestartPolicyLimits } from "../restart-policy/policy-limits.ts";
import {
  restartPolicyLogic,
  type RestartPolicyAnswer,
  type RestartPolicyLogic,
} from "../restart-policy/restart-policy.ts";
import type { ChildFact, ChildSpec, ChildTold } from "./child-spec.ts";
import { endOrphans, reasonOf, takesStop } from "./ended-child.ts";

/** What a place is started with. */
export interface SupervisedChildInput {
  spec: ChildSpec;
  now: () => number;
  chance: Chance;
  limits: RestartPolicyLimits;
}

/** What its supervisor tells a place; `place.end` makes it final, `place.stop` leaves it ready for a restart. */
export type PlaceCommand =
  | { type: "place.stop" }
  | { type: "place.restart" }
  | { type: "place.end" }
  | { type: "place.tell"; event: AnyEventObject };

type Wish = "stopped" | "running" | "ended";

interface PlaceContext extends SupervisedChildInput {
  /** Counts the lives of the child, so that the end of an earlier one is never taken for the end of this one. */
  lives: number;
  policies: number;
  child?: AnyActorRef;
  policy?: ActorRefFromLogic<RestartPolicyLogic>;
  /** What the place is to be once its child has ended. */
  wish: Wish;
}

type PlaceEvent = PlaceCommand | RestartPolicyAnswer | DoneActorEvent | ErrorActorEvent;

/**
 * The place of one child under a supervisor: it starts the child, sees its end, asks the restart policy and does as
 * that says. All that it knows goes to its supervisor as {@link ChildFact}s.
 *
 * ```text
 *   ● → tended.running ──[permanent] completed, crashed──▶ tended.down.asking ──restart.scheduled──▶ tended.down.waiting
 *          │      ▲                                               │ restart.now                            │
 *          │      └───────────────────────────────────────────────┴────────────────restart.now─────────────┘
 *          └──completed; [temporary] crashed──▶ stopped      tended.down ──restart.gave-up──▶ failed
 *
 *   tended ──place.stop|restart|end / wish──▶ leaving ──[childTakesStop]──▶ stopping ──its end, after stopTimeout──▶ left
 *                                                └──────────────────────────────────────────────────────────▶ left
 *   left ──by wish──▶ stopped | tended.running | ended (final)
 *   stopped, failed ──place.restart──▶ left
 *                   ──place.end──▶ ended (final)
 * ```
 */
export const supervisedChildMachine = setup({
  types: {} as { context: PlaceContext; events: PlaceEvent; input: SupervisedChildInput },
  // Which logic is spawned is known only from the specification; an empty list would forbid every spawn.
  actors: {} as Record<string, AnyActorLogic>,
  guards: {
    isOfChild: ({ context, event }) => "actorId" in event && event.actorId === context.child?.id,
    isOfPolicy: ({ context, event }) => "actorId" in event && event.actorId === context.policy?.id,
    childIsPermanent: ({ context }) => context.spec.restart === "permanent",
    childIsTemporary: ({ context }) => context.spec.restart === "temporary",
    childTakesStop: ({ context }) => context.child !== undefined && takesStop(context.child),
    wishes: ({ context }, wish: Wish) => context.wish === wish,
  },
  actions: {
    startChild: assign(({ context, spawn }) => ({
      lives: context.lives + 1,
      child: spawn(context.spec.logic, {
        id: `${context.spec.id}/life-${context.lives + 1}`,
        input: context.spec.input,
      }),
    })),
    /** Forgetting an ended child matters too: the machine would keep one reference for each life. */
    dropChild: enqueueActions(({ context, enqueue }) => {
      if (context.child === undefined) return;
      if (context.child.getSnapshot().status === "error")
        enqueue(() => endOrphans(context.child as AnyActorRef));
      enqueue.stopChild(context.child);
    }),
    askChildToStop: sendTo(({ context }) => context.child as AnyActorRef, { type: "stop" }),
    tellChild: sendTo(
      ({ context }) => context.child as AnyActorRef,
      ({ event }) => {
        assertEvent(event, "place.tell");
        return event.event;
      },
    ),
    takePolicy: assign(({ context, spawn }) => {
      const { spec, chance, limits } = context;
      const policy = spec.policy ?? { type: "always" };
      return {
        policies: context.policies + 1,
        policy: spawn(restartPolicyLogic(policy), {
          id: `${spec.id}/policy-${context.policies + 1}`,
          input: { policy, chance, limits },
        }),
      };
    }),
    dropPolicy: stopChild(({ context }) => context.policy as AnyActorRef),
    tellPolicyRunning: sendTo(({ context }) => context.policy as AnyActorRef, { type: "running" }),
    tellPolicyCrashed: sendTo(
      ({ context }) => context.policy as AnyActorRef,
      ({ context, event }) => ({ type: "crashed", at: context.now(), reason: endOf(event) }),
    ),
    wish: assign({ wish: (_, wish: Wish) => wish }),
    announceStarted: sendParent(({ context }): ChildFact => ({
      type: "child.started",
      id: context.spec.id,
      restarts: context.lives - 1,
    })),
    announceCrashed: sendParent(({ context, event }): ChildFact => ({
      type: "child.crashed",
      id: context.spec.id,
      reason: endOf(event),
    })),
    announceRestarting: sendParent(({ context, event }): ChildFact => {
      assertEvent(event, ["restart.now", "restart.scheduled"]);
      const { delayMs, at } = event.type === "restart.scheduled" ? event : { delayMs: 0, at: context.now() };
      return { type: "child.restarting", id: context.spec.id, attempt: event.attempt, delayMs, at };
    }),
    announceFailed: sendParent(({ context, event }): ChildFact => ({
      type: "child.failed",
      id: context.spec.id,
      reason: event.type === "restart.gave-up" ? event.reason : `its restart policy broke: ${endOf(event)}`,
    })),
    announceStopped: sendParent(({ context }, reason: string): ChildFact => ({
      type: "child.stopped",
      id: context.spec.id,
      reason,
    })),
    passOn: sendParent(({ context, event }): ChildTold => ({
      type: "child.told",
      id: context.spec.id,
      event,
    })),
  },
  delays: {
    stopTimeout: ({ context }) => context.spec.stopMs ?? restartLimits.supervisorStopMs,
  },
}).createMachine({
  id: "supervised-child",
  context: ({ input }) => ({ ...input, lives: 0, policies: 0, wish: "stopped" }),
  entry: "takePolicy",
  initial: "tended",
  on: {
    "xstate.error.actor.*": { guard: "isOfPolicy", target: ".failed", actions: "announceFailed" },
    // What concerns an earlier child or policy, or comes when it no longer matters, stops here; without these three
    // lines it would be taken for a message of the child, and a late error would end this machine.
    "xstate.*": {},
    "restart.*": {},
    "place.*": {},
    "*": { actions: "passOn" },
  },
  states: {
    tended: {
      on: {
        "place.stop": { target: "leaving", actions: { type: "wish", params: "stopped" } },
        "place.restart": { target: "leaving", actions: { type: "wish", params: "running" } },
        "place.end": { target: "leaving", actions: { type: "wish", params: "ended" } },
      },
      initial: "running",
      states: {
        running: {
          entry: ["startChild", "tellPolicyRunning", "announceStarted"],
          on: {
            "xstate.done.actor.*": [
              {
                guard: and(["isOfChild", "childIsPermanent"]),
                target: "down",
                actions: ["announceCrashed", "tellPolicyCrashed"],
              },
              {
                guard: "isOfChild",
                target: "#supervised-child.stopped",
                actions: { type: "announceStopped", params: "it completed" },
              },
            ],
            "xstate.error.actor.*": [
              {
                guard: and(["isOfChild", "childIsTemporary"]),
                target: "#supervised-child.stopped",
                actions: [
                  "announceCrashed",
                  { type: "announceStopped", params: "it is temporary and crashed" },
                ],
              },
              { guard: "isOfChild", target: "down", actions: ["announceCrashed", "tellPolicyCrashed"] },
            ],
            "place.tell": { actions: "tellChild" },
          },
        },
        down: {
          entry: "dropChild",
          on: {
            "restart.gave-up": { target: "#supervised-child.failed", actions: "announceFailed" },
          },
          initial: "asking",
          states: {
            asking: {
              on: {
                "restart.now": { target: "#supervised-child.tended.running", actions: "announceRestarting" },
                "restart.scheduled": { target: "waiting", actions: "announceRestarting" },
              },
            },
            waiting: { on: { "restart.now": "#supervised-child.tended.running" } },
          },
        },
      },
    },
    leaving: { always: [{ guard: "childTakesStop", target: "stopping" }, { target: "left" }] },
    stopping: {
      entry: "askChildToStop",
      on: {
        "xstate.done.actor.*": { guard: "isOfChild", target: "left" },
        "xstate.error.actor.*": { guard: "isOfChild", target: "left" },
        "place.stop": { actions: { type: "wish", params: "stopped" } },
        "place.restart": { actions: { type: "wish", params: "running" } },
        "place.end": { actions: { type: "wish", params: "ended" } },
      },
      after: { stopTimeout: "left" },
    },
    left: {
      entry: ["dropChild", "dropPolicy"],
      always: [
        { guard: { type: "wishes", params: "running" }, target: "tended", actions: "takePolicy" },
        {
          guard: { type: "wishes", params: "ended" },
          target: "ended",
          actions: { type: "announceStopped", params: "its supervisor stops" },
        },
        { target: "stopped", actions: { type: "announceStopped", params: "it was told to" } },
      ],
    },
    stopped: {
      entry: ["dropChild", "dropPolicy"],
      on: {
        "place.restart": { target: "left", actions: { type: "wish", params: "running" } },
        "place.end": "ended",
      },
    },
    failed: {
      entry: ["dropChild", "dropPolicy"],
      on: {
        "place.restart": { target: "left", actions: { type: "wish", params: "running" } },
        "place.end": "ended",
      },
    },
    ended: { type: "final" },
  },
});

/** Why the actor of that event ended, in words. */
function endOf(event: PlaceEvent): string {
  return "error" in event ? reasonOf(event.error) : "it ended, which it should not do";
}
