import type { ActorLogic, Snapshot } from "xstate";
import type { z } from "zod";
import type { Chance } from "../../src/chance.ts";
import type { RestartPolicy } from "../../src/protocol/instance-spec.ts";
import { alwaysPolicy } from "./always.ts";
import { backoffPolicy } from "./backoff.ts";
import { neverPolicy } from "./never.ts";
import type { RestartPolicyLimits } from "./policy-limits.ts";

/** What may follow a crash, as the start command says it; what a `backoff` leaves out has its default. */
export type RestartPolicyConfig = z.input<typeof RestartPolicy>;

/**
 * What the owner tells its policy. Time comes from these events (`at`, milliseconds since the epoch); the policy has
 * no clock of its own but the timers of its actor system.
 */
export type RestartPolicyEvent =
  /** The owner's thing ended and nobody had asked for that; also a restart that did not succeed. */
  | { type: "crashed"; at: number; reason: string }
  /** The owner's thing works again; from here on a run counts as stable once it has lasted. */
  | { type: "running" };

/**
 * What the policy tells its owner, exactly one of these chains for each crash: `restart.now`; `restart.scheduled` and
 * later `restart.now`; `restart.gave-up`, after which it says nothing any more. `attempt` counts from 1 and starts
 * again after a stable run.
 */
export type RestartPolicyAnswer =
  | { type: "restart.now"; attempt: number }
  /** `restart.now` follows after `delayMs`, which is at `at` (milliseconds since the epoch). */
  | { type: "restart.scheduled"; attempt: number; delayMs: number; at: number }
  /** `reason` is a sentence for an operator, with the counts that led to it. */
  | { type: "restart.gave-up"; reason: string };

/** What a policy is started with. */
export interface RestartPolicyInput {
  policy: RestartPolicyConfig;
  /** Where jitter comes from; the same seed gives the same delays. */
  chance: Chance;
  /** Other bounds than those of instances. */
  limits?: Partial<RestartPolicyLimits>;
}

/** Any of the three machines, as its owner sees it. */
export type RestartPolicyLogic = ActorLogic<Snapshot<unknown>, RestartPolicyEvent, RestartPolicyInput>;

/**
 * The machine of a policy, to be spawned by the owner with a {@link RestartPolicyInput} of the same policy. An
 * explicit restart by an operator is not its business: the owner stops this actor and spawns a fresh one.
 */
export function restartPolicyLogic(policy: RestartPolicyConfig): RestartPolicyLogic {
  return machines[policy.type] as unknown as RestartPolicyLogic;
}

const machines = { never: neverPolicy, always: alwaysPolicy, backoff: backoffPolicy } as const;
