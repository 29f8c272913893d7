import { assertEvent, sendParent, setup } from "xstate";
import type { RestartPolicyAnswer, RestartPolicyEvent, RestartPolicyInput } from "./restart-policy.ts";

/**
 * The policy `never`: the first crash is the last.
 *
 * ```text
 * ● → watching ──crashed / announceGaveUp──▶ gave-up
 * ```
 *
 * `gave-up` is not a final state, so that a late `crashed` finds an actor that ignores it.
 */
export const neverPolicy = setup({
  types: {} as { events: RestartPolicyEvent; input: RestartPolicyInput },
  actions: {
    announceGaveUp: sendParent(({ event }): RestartPolicyAnswer => {
      assertEvent(event, "crashed");
      return {
        type: "restart.gave-up",
        reason: `policy never: not restarted after this crash: ${event.reason}`,
      };
    }),
  },
}).createMachine({
  id: "never",
  initial: "watching",
  states: {
    watching: { on: { crashed: { target: "gave-up", actions: "announceGaveUp" } } },
    "gave-up": {},
  },
});
