import { assertEvent, assign, sendParent, setup } from "xstate";
import type { Chance } from "../../src/chance.ts";
import { restartLimits } from "../../src/limits.ts";
import { inSeconds, policyLimits } from "./policy-limits.ts";
import type { RestartPolicyAnswer, RestartPolicyEvent, RestartPolicyInput } from "./restart-policy.ts";

interface BackoffContext {
  delayMs: number;
  maxDelayMs: number;
  maxRetries: number;
  stableRunMs: number;
  chance: Chance;
  attempt: number;
  /** What was drawn for this attempt. */
  drawnMs: number;
}

/**
 * The policy `backoff`: each crash is answered after a random delay below a ceiling that doubles with each one, until
 * `maxRetries` restarts in a row have not led to a stable run.
 *
 * ```text
 *   ● → watching ────────────────────────────────────────────┐
 *       │ settled ◀──after stableRun / forgetTries── proving │──crashed [triesExhausted] / announceGaveUp──▶ gave-up
 *       │                                               ▲    │
 *       │                         restarting ──running──┘    │──crashed / countTry, announceSchedule──▶ waiting
 *       └─────────────────────────────▲──────────────────────┘                                             │
 *                                     └──────────────────after drawnDelay / orderRestart───────────────────┘
 * ```
 *
 * While it waits nothing of the owner's runs, so `waiting` has no `crashed`: a second report of the same crash must
 * not become a second restart. `gave-up` is not a final state, so that a late `crashed` finds an actor that ignores it.
 */
export const backoffPolicy = setup({
  types: {} as { context: BackoffContext; events: RestartPolicyEvent; input: RestartPolicyInput },
  guards: {
    triesExhausted: ({ context }) => context.attempt >= context.maxRetries,
  },
  actions: {
    countTry: assign(({ context }) => ({
      attempt: context.attempt + 1,
      drawnMs: fullJitter(context, context.attempt + 1),
    })),
    forgetTries: assign({ attempt: 0 }),
    announceSchedule: sendParent(({ context, event }): RestartPolicyAnswer => {
      assertEvent(event, "crashed");
      const { attempt, drawnMs } = context;
      return { type: "restart.scheduled", attempt, delayMs: drawnMs, at: event.at + drawnMs };
    }),
    orderRestart: sendParent(({ context }): RestartPolicyAnswer => ({
      type: "restart.now",
      attempt: context.attempt,
    })),
    announceGaveUp: sendParent(({ context, event }): RestartPolicyAnswer => {
      assertEvent(event, "crashed");
      return {
        type: "restart.gave-up",
        reason: `policy backoff: ${context.attempt} of ${context.maxRetries} restarts are used up without a stable run of ${inSeconds(context.stableRunMs)}; the last crash: ${event.reason}`,
      };
    }),
  },
  delays: {
    drawnDelay: ({ context }) => context.drawnMs,
    stableRun: ({ context }) => context.stableRunMs,
  },
}).createMachine({
  id: "backoff",
  context: ({ input }) => backoffContext(input),
  initial: "watching",
  states: {
    watching: {
      on: {
        crashed: [
          { guard: "triesExhausted", target: "gave-up", actions: "announceGaveUp" },
          { target: "waiting", actions: ["countTry", "announceSchedule"] },
        ],
      },
      initial: "settled",
      states: {
        settled: {},
        restarting: { on: { running: "proving" } },
        proving: { after: { stableRun: { target: "settled", actions: "forgetTries" } } },
      },
    },
    waiting: { after: { drawnDelay: { target: "watching.restarting", actions: "orderRestart" } } },
    "gave-up": {},
  },
});

function backoffContext({ policy, chance, limits }: RestartPolicyInput): BackoffContext {
  if (policy.type !== "backoff")
    throw new Error(`a backoff machine was started with the policy ${policy.type}`);
  return {
    delayMs: policy.delayMs ?? restartLimits.backoffDelayMsDefault,
    maxDelayMs: policy.maxDelayMs ?? restartLimits.backoffDelayMsMaxDefault,
    maxRetries: policy.maxRetries ?? restartLimits.backoffRetriesDefault,
    stableRunMs: policyLimits(limits).stableRunMs,
    chance,
    attempt: 0,
    drawnMs: 0,
  };
}

/**
 * Whole milliseconds, uniform from 0 to the doubled delay or its ceiling, both included ("full jitter", M. Brooker,
 * "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): what crashed together does not come back together.
 */
function fullJitter({ delayMs, maxDelayMs, chance }: BackoffContext, attempt: number): number {
  return Math.floor(chance() * (Math.min(maxDelayMs, delayMs * 2 ** (attempt - 1)) + 1));
}
