import { assign, createActor, setup, type AnyActorLogic, type AnyActorRef } from "xstate";
import type { RestartPolicyLimits } from "../../actors/restart-policy/policy-limits.ts";
import {
  restartPolicyLogic,
  type RestartPolicyAnswer,
  type RestartPolicyConfig,
  type RestartPolicyEvent,
} from "../../actors/restart-policy/restart-policy.ts";
import { seededChance } from "../../src/chance.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** An answer, and when the owner had it. */
export type Heard = { heardAt: number } & RestartPolicyAnswer;

/** How one owner is set up. */
export interface OwnerOptions {
  policy: RestartPolicyConfig;
  seed?: number;
  limits?: Partial<RestartPolicyLimits>;
}

/** One owner of a policy: does nothing but report, and write down what it is told. */
export interface PolicyOwner {
  crash(reason?: string): void;
  running(): void;
  readonly heard: readonly Heard[];
}

/** Owners in one actor system, each with a policy of its own, on one clock. */
export function startOwners(clock: VirtualClock, owners: readonly OwnerOptions[]): PolicyOwner[] {
  const heard: Heard[][] = owners.map(() => []);
  const root = createActor(ownersMachine, {
    clock,
    input: { owners, hear: (index, answer) => heard[index]?.push({ heardAt: clock.now(), ...answer }) },
  }).start();
  return owners.map((_, index) => {
    const owner = root.getSnapshot().children[String(index)] as AnyActorRef;
    return {
      crash: (reason = "trap") =>
        owner.send({ type: "report", event: { type: "crashed", at: clock.now(), reason } }),
      running: () => owner.send({ type: "report", event: { type: "running" } }),
      heard: heard[index] as Heard[],
    };
  });
}

/** {@link startOwners} for a single one. */
export function startOwner(clock: VirtualClock, options: OwnerOptions): PolicyOwner {
  return startOwners(clock, [options])[0] as PolicyOwner;
}

interface OwnerInput extends OwnerOptions {
  hear: (answer: RestartPolicyAnswer) => void;
}

const ownerMachine = setup({
  types: {} as {
    context: OwnerInput & { of?: AnyActorRef };
    input: OwnerInput;
    events: { type: "report"; event: RestartPolicyEvent } | RestartPolicyAnswer;
  },
  actors: {} as Record<string, AnyActorLogic>,
}).createMachine({
  context: ({ input }) => input,
  entry: assign({
    of: ({ context: { policy, seed = 1, limits }, spawn }) =>
      spawn(restartPolicyLogic(policy), {
        input: { policy, chance: seededChance(seed), ...(limits === undefined ? {} : { limits }) },
      }) as AnyActorRef,
  }),
  on: {
    report: { actions: ({ context, event }) => context.of?.send(event.event) },
    "restart.*": { actions: ({ context, event }) => context.hear(event) },
  },
});

const ownersMachine = setup({
  types: {} as {
    input: { owners: readonly OwnerOptions[]; hear: (index: number, answer: RestartPolicyAnswer) => void };
  },
  actors: {} as Record<string, AnyActorLogic>,
}).createMachine({
  context: ({ input, spawn }) => {
    for (const [index, options] of input.owners.entries())
      spawn(ownerMachine, {
        id: String(index),
        input: { ...options, hear: (answer: RestartPolicyAnswer) => input.hear(index, answer) },
      });
    return {};
  },
});
