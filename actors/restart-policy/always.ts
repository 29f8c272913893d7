import { assertEvent, assign, sendParent, setup } from "xstate";
import { inSeconds, policyLimits, type RestartPolicyLimits } from "./policy-limits.ts";
import type { RestartPolicyAnswer, RestartPolicyEvent, RestartPolicyInput } from "./restart-policy.ts";

interface AlwaysContext {
  limits: RestartPolicyLimits;
  /** When the crashes of the running period were, oldest first; never more than `limits.intensity`. */
  crashes: readonly number[];
  attempt: number;
}

/**
 * The policy `always`: each crash is answered at once, until more than `intensity` of them fall within `periodMs`
 * (the intensity and period of an OTP supervisor, `sup_princ`).
 *
 * ```text
 *   ● → watching ───────────────────────────────────────────────┐
 *       │ settled ◀──after stableRun / forgetCrashes── proving  │──crashed [tooOften] / announceGaveUp──▶ gave-up
 *       │                                                 ▲     │
 *       │                           restarting ──running──┘     │──crashed / countCrash, orderRestart──▶ watching.restarting
 *       └───────────────────────────────────────────────────────┘
 * ```
 *
 * `gave-up` is not a final state, so that a late `crashed` finds an actor that ignores it.
 */
export const alwaysPolicy = setup({
  types: {} as { context: AlwaysContext; events: RestartPolicyEvent; input: RestartPolicyInput },
  guards: {
    tooOften: ({ context, event }) => {
      assertEvent(event, "crashed");
      return recent(context, event.at).length >= context.limits.intensity;
    },
  },
  actions: {
    countCrash: assign(({ context, event }) => {
      assertEvent(event, "crashed");
      return { crashes: [...recent(context, event.at), event.at], attempt: context.attempt + 1 };
    }),
    forgetCrashes: assign({ crashes: [], attempt: 0 }),
    orderRestart: sendParent(({ context }): RestartPolicyAnswer => ({
      type: "restart.now",
      attempt: context.attempt,
    })),
    announceGaveUp: sendParent(({ context, event }): RestartPolicyAnswer => {
      assertEvent(event, "crashed");
      const { intensity, periodMs } = context.limits;
      const count = recent(context, event.at).length + 1;
      return {
        type: "restart.gave-up",
        reason: `policy always: ${count} crashes within ${inSeconds(periodMs)}, of which at most ${intensity} are restarted; the last one: ${event.reason}`,
      };
    }),
  },
  delays: {
    stableRun: ({ context }) => context.limits.stableRunMs,
  },
}).createMachine({
  id: "always",
  context: ({ input }) => ({ limits: policyLimits(input.limits), crashes: [], attempt: 0 }),
  initial: "watching",
  states: {
    watching: {
      on: {
        crashed: [
          { guard: "tooOften", target: "gave-up", actions: "announceGaveUp" },
          { target: ".restarting", actions: ["countCrash", "orderRestart"] },
        ],
      },
      initial: "settled",
      states: {
        settled: {},
        restarting: { on: { running: "proving" } },
        proving: { after: { stableRun: { target: "settled", actions: "forgetCrashes" } } },
      },
    },
    "gave-up": {},
  },
});

/** The counted crashes that share a period with a crash `at`; one from the future means that the clock was set back. */
function recent({ crashes, limits }: AlwaysContext, at: number): number[] {
  return crashes.filter((crash) => crash <= at && at - crash <= limits.periodMs);
}
