import type { RestartPolicyLimits } from "../../actors/restart-policy/policy-limits.ts";
import type { Chance } from "../../src/chance.ts";
import type { RestartPolicy } from "../../src/protocol/instance-spec.ts";

/** What the model expects an owner to hear; the sentence of a gave-up is not its matter. */
export type Expected =
  | { heardAt: number; type: "restart.now"; attempt: number }
  | { heardAt: number; type: "restart.scheduled"; attempt: number; delayMs: number; at: number }
  | { heardAt: number; type: "restart.gave-up" };

/** The restart policies once more, as a few variables and a list, to hold the machines against. */
export function restartPolicyModel(policy: RestartPolicy, chance: Chance, limits: RestartPolicyLimits) {
  const expected: Expected[] = [];
  let tries = 0;
  let crashes: number[] = [];
  let ordered = false;
  let over = false;
  let restartDue: number | undefined;
  let stableDue: number | undefined;

  return {
    expected,
    awaitsRestart: () => restartDue !== undefined,

    /** Time has come to `now`. */
    advanceTo(now: number) {
      if (restartDue !== undefined && restartDue <= now) {
        order(restartDue);
        restartDue = undefined;
      }
      if (stableDue !== undefined && stableDue <= now) {
        stableDue = undefined;
        tries = 0;
        crashes = [];
      }
    },

    running(now: number) {
      if (!ordered) return;
      ordered = false;
      stableDue = now + limits.stableRunMs;
    },

    crash(now: number) {
      if (over || restartDue !== undefined) return;
      ordered = false;
      stableDue = undefined;
      crashes = [...crashes.filter((crash) => now - crash <= limits.periodMs), now];
      const giveUp =
        policy.type === "never" ||
        (policy.type === "always" && crashes.length > limits.intensity) ||
        (policy.type === "backoff" && tries === policy.maxRetries);
      if (giveUp) {
        over = true;
        expected.push({ heardAt: now, type: "restart.gave-up" });
        return;
      }
      tries += 1;
      if (policy.type !== "backoff") return order(now);
      const ceiling = Math.min(policy.maxDelayMs, policy.delayMs * 2 ** (tries - 1));
      const delayMs = Math.floor(chance() * (ceiling + 1));
      restartDue = now + delayMs;
      expected.push({ heardAt: now, type: "restart.scheduled", attempt: tries, delayMs, at: restartDue });
    },
  };

  function order(now: number) {
    ordered = true;
    expected.push({ heardAt: now, type: "restart.now", attempt: tries });
  }
}
