import {
  assertEvent,
  assign,
  fromPromise,
  sendTo,
  setup,
  stopChild,
  type ActorRefFrom,
  type ActorRefFromLogic,
  type AnyActorLogic,
  type AnyActorRef,
} from "xstate";
import type { Chance } from "../../src/chance.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import { nodeLimits } from "../../src/limits.ts";
import { asFailure, type Failure } from "../../src/protocol/errors.ts";
import type { Crash, InstanceSpec } from "../../src/protocol/instance-spec.ts";
import {
  restartPolicyLogic,
  type RestartPolicyAnswer,
  type RestartPolicyLogic,
} from "../restart-policy/restart-policy.ts";

/** What an instance is started with: who it is, and how it touches its node. */
export interface InstanceInput {
  spec: InstanceSpec;
  /** Milliseconds since the epoch, of the same clock as the actor system's. */
  now: () => number;
  chance: Chance;
  /** States a fact about it. */
  state: Speaker["state"];
  /** Resolves once the guest answers calls; waits for an engine when there is none. Aborted when no longer wanted. */
  start: (signal: AbortSignal) => Promise<void>;
  /** Resolves once calls in progress are answered and none comes any more, also of a guest that never started. */
  stop: () => Promise<void>;
}

/** What an instance is told. `cause` is the id of the command that it comes from. */
export type InstanceEvent =
  | { type: "instance.stop"; reason: string; cause?: string | undefined }
  /** Whatever its policy: it starts afresh, with nothing counted against it. */
  | { type: "instance.restart"; cause?: string | undefined }
  | { type: "engine.crashed"; crash: Crash }
  /** The engine ended, and its guests with it; that is no crash of theirs. */
  | { type: "engine.lost" }
  | RestartPolicyAnswer;

/** What the snapshot of an instance shows. */
export interface InstanceContext extends InstanceInput {
  restarts: number;
  policies: number;
  /** From the first crash on: most instances never need one. */
  policy: ActorRefFromLogic<RestartPolicyLogic> | undefined;
  hasRun: boolean;
  crash?: Crash;
  /** Why the latest start did not succeed; undefined once one did. */
  failure?: Failure | undefined;
  /** Why it ends. */
  reason: string;
  cause: string | undefined;
}

/** A running instance machine. */
export type InstanceActor = ActorRefFrom<typeof instanceMachine>;

/**
 * One instance on its node, from its start command to its end. What happens to it is stated as a fact in the same
 * turn; after a crash its restart policy, an actor of its own, decides.
 *
 * ```text
 *   ● → starting ──started──▶ running ──engine.crashed──▶ deciding ──restart.now──▶ starting
 *        │ ▲ │                  │ │                          ├──restart.scheduled──▶ backing-off ──restart.now──▶ starting
 *        │ │ │                  │ │                          ├──restart.gave-up [never]──▶ crashed
 *        │ │ │                  │ │                          └──restart.gave-up──▶ gave-up
 *        │ │ ├──start failed──▶ deciding
 *        │ │ ├──start failed [mayBeEngine]──▶ engine-in-doubt ──engine.lost──▶ starting │ after engineVerdict──▶ deciding
 *        │ │ └──first start refused──▶ stopped (final)
 *        │ └──engine.lost── starting, running, replacing
 *        │     running ──instance.restart──▶ replacing ──stopped──▶ starting
 *        │     engine-in-doubt, backing-off, crashed, gave-up ──instance.restart──▶ starting
 *        └──▶ any ──instance.stop──▶ stopping ──stopped──▶ stopped (final)
 * ```
 */
export const instanceMachine = setup({
  types: {} as { context: InstanceContext; events: InstanceEvent; input: InstanceInput },
  // The policy's logic is known only from the specification; a closed list would forbid to spawn it.
  actors: {
    startGuest: fromPromise<void, InstanceInput>(({ input, signal }) => input.start(signal)),
    stopGuest: fromPromise<void, InstanceInput>(({ input }) => input.stop()),
  } as Record<string, AnyActorLogic>,
  guards: {
    isRefusedAtFirst: ({ context, event }) => {
      const { code } = failureIn(event);
      return (
        !context.hasRun &&
        context.restarts === 0 &&
        (code === "INVALID_MODULE" || code === "RESOURCE_EXHAUSTED")
      );
    },
    mayBeEngine: ({ event }) => failureIn(event).code === "COMMUNICATION_FAILURE",
    policyIsNever: ({ context }) => context.spec.restartPolicy.type === "never",
  },
  actions: {
    takePolicy: assign(({ context, spawn }) => {
      if (context.policy !== undefined) return {};
      const policy = context.spec.restartPolicy;
      return {
        policies: context.policies + 1,
        policy: spawn(restartPolicyLogic(policy), {
          id: `policy-${context.policies + 1}`,
          input: { policy, chance: context.chance },
        }),
      };
    }),
    dropPolicy: stopChild(({ context }) => context.policy as AnyActorRef),
    forgetPolicy: assign({ policy: undefined }),
    tellPolicyRunning: ({ context }) => context.policy?.send({ type: "running" }),
    tellPolicyCrashed: sendTo(
      ({ context }) => context.policy as AnyActorRef,
      ({ context }) => ({ type: "crashed", at: context.now(), reason: context.crash?.message ?? "" }),
    ),
    countRestart: assign({ restarts: ({ context }) => context.restarts + 1 }),
    rememberRun: assign({ hasRun: true, failure: undefined }),
    rememberCause: assign({ cause: ({ event }) => ("cause" in event ? event.cause : undefined) }),
    forgetCause: assign({ cause: undefined }),
    rememberCrash: assign({
      crash: ({ event }) => {
        assertEvent(event, "engine.crashed");
        return event.crash;
      },
    }),
    rememberFailure: assign(({ context, event }) => {
      const failure = failureIn(event);
      return { failure, crash: startFailure(failure, context.now()), reason: failure.message };
    }),
    rememberReason: assign({
      reason: ({ event }) => {
        assertEvent(event, "instance.stop");
        return event.reason;
      },
    }),
    stateStarting: ({ context: { spec, restarts, state } }) =>
      state("instance.starting", { spec, restarts }, spec.commandId),
    stateRunning: ({ context }) => context.state("instance.running", common(context), context.cause),
    stateCrashed: ({ context }) =>
      context.state("instance.crashed", { ...common(context), crash: context.crash as Crash }),
    stateBackingOff: ({ context, event }) => {
      assertEvent(event, "restart.scheduled");
      const { attempt, delayMs, at } = event;
      context.state("instance.backing-off", {
        ...common(context),
        attempt,
        delayMs,
        until: new Date(at).toISOString(),
      });
    },
    stateRestarting: ({ context }, reason: string) =>
      context.state("instance.restarting", { ...common(context), reason }, context.cause),
    stateGaveUp: ({ context, event }) => {
      assertEvent(event, "restart.gave-up");
      context.state("instance.gave-up", { ...common(context), reason: event.reason });
    },
    stateStopped: ({ context }) =>
      context.state("instance.stopped", { ...common(context), reason: context.reason }, context.cause),
  },
  delays: { engineVerdict: nodeLimits.engineVerdictMs },
}).createMachine({
  id: "instance",
  context: ({ input }) => ({
    ...input,
    restarts: 0,
    policies: 0,
    policy: undefined,
    hasRun: false,
    reason: "",
    cause: input.spec.commandId,
  }),
  entry: "stateStarting",
  initial: "starting",
  on: { "instance.stop": { target: ".stopping", actions: ["rememberCause", "rememberReason"] } },
  states: {
    starting: {
      invoke: {
        src: "startGuest",
        input: ({ context }) => context,
        onDone: "running",
        onError: [
          { guard: "isRefusedAtFirst", target: "stopped", actions: "rememberFailure" },
          { guard: "mayBeEngine", target: "engine-in-doubt", actions: "rememberFailure" },
          { target: "deciding", actions: "rememberFailure" },
        ],
      },
      on: {
        // The first call may end a guest before the engine's answer to its start is here.
        "engine.crashed": { target: "deciding", actions: "rememberCrash" },
        "engine.lost": {
          target: "starting",
          reenter: true,
          actions: { type: "stateRestarting", params: "the engine ended" },
        },
      },
    },
    "engine-in-doubt": {
      after: { engineVerdict: "deciding" },
      on: {
        "engine.lost": {
          target: "starting",
          actions: { type: "stateRestarting", params: "the engine ended" },
        },
        "instance.restart": "afresh",
      },
    },
    running: {
      entry: ["rememberRun", "stateRunning", "forgetCause", "tellPolicyRunning"],
      on: {
        "engine.crashed": { target: "deciding", actions: "rememberCrash" },
        "engine.lost": {
          target: "starting",
          actions: { type: "stateRestarting", params: "the engine ended" },
        },
        "instance.restart": {
          target: "replacing",
          actions: ["rememberCause", "countRestart", { type: "stateRestarting", params: "it was told to" }],
        },
      },
    },
    replacing: {
      entry: ["dropPolicy", "forgetPolicy"],
      invoke: { src: "stopGuest", input: ({ context }) => context, onDone: "starting", onError: "starting" },
      on: { "engine.lost": "starting" },
    },
    deciding: {
      entry: ["stateCrashed", "takePolicy", "tellPolicyCrashed"],
      on: {
        "restart.now": {
          target: "starting",
          actions: ["countRestart", { type: "stateRestarting", params: "its restart policy" }],
        },
        "restart.scheduled": { target: "backing-off", actions: "stateBackingOff" },
        "restart.gave-up": [
          { guard: "policyIsNever", target: "crashed" },
          { target: "gave-up", actions: "stateGaveUp" },
        ],
      },
    },
    "backing-off": {
      on: {
        "restart.now": {
          target: "starting",
          actions: ["countRestart", { type: "stateRestarting", params: "its restart policy" }],
        },
        "instance.restart": "afresh",
      },
    },
    crashed: { on: { "instance.restart": "afresh" } },
    "gave-up": { on: { "instance.restart": "afresh" } },
    afresh: {
      entry: [
        "rememberCause",
        "dropPolicy",
        "forgetPolicy",
        "countRestart",
        { type: "stateRestarting", params: "it was told to" },
      ],
      always: "starting",
    },
    stopping: {
      invoke: { src: "stopGuest", input: ({ context }) => context, onDone: "stopped", onError: "stopped" },
      // A second command to stop changes nothing: without this line it would begin the stop again.
      on: { "instance.stop": {}, "engine.lost": "stopped" },
    },
    stopped: { type: "final", entry: ["dropPolicy", "stateStopped"] },
  },
});

function common({ spec, restarts }: InstanceContext): { instanceId: string; restarts: number } {
  return { instanceId: spec.instanceId, restarts };
}

function failureIn(event: unknown): Failure {
  return asFailure((event as { error?: unknown }).error);
}

function startFailure(failure: Failure, at: number): Crash {
  return {
    reason: "start-failure",
    message: `${failure.code}: ${failure.message}`,
    at: new Date(at).toISOString(),
  };
}
