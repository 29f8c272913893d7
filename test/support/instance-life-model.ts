import fc from "fast-check";
import type { RestartPolicyConfig } from "../../actors/restart-policy/restart-policy.ts";

/** What may happen to an instance, by command or by a guest's own fault. */
export type LifeStep = "start" | "stop" | "restart" | "crash" | "call";

/** What must be true of an instance after what happened to it, told by hand and not as the machine does it. */
export interface LifeModel {
  readonly policy: RestartPolicyConfig;
  readonly status: "absent" | "running" | "crashed" | "gave-up" | "stopped";
  readonly restarts: number;
  readonly incarnation: number;
  /** Restarts by its policy since an operator last had a say. */
  readonly tries: number;
  /** Calls that its present memory has seen. */
  readonly calls: number;
  /** The kinds of all facts about it so far. */
  readonly told: readonly string[];
}

/** Any policy, with delays that a test can wait for. */
export const anyPolicy: fc.Arbitrary<RestartPolicyConfig> = fc.oneof(
  fc.constant({ type: "never" as const }),
  fc.constant({ type: "always" as const }),
  fc.record({
    type: fc.constant("backoff" as const),
    delayMs: fc.integer({ min: 1, max: 3 }),
    maxDelayMs: fc.integer({ min: 1, max: 3 }),
    maxRetries: fc.integer({ min: 0, max: 2 }),
  }),
);

/** An instance that nobody has started yet. */
export function unborn(policy: RestartPolicyConfig): LifeModel {
  return { policy, status: "absent", restarts: 0, incarnation: 0, tries: 0, calls: 0, told: [] };
}

/** Whether the step makes sense in that state; the others are refused and change nothing. */
export function isValid({ status }: LifeModel, step: LifeStep): boolean {
  if (step === "start") return status === "absent" || status === "stopped";
  if (step === "crash" || step === "call") return status === "running";
  return status !== "absent" && status !== "stopped";
}

/** The life after a valid step. */
export function after(life: LifeModel, step: LifeStep): LifeModel {
  const told = (...kinds: string[]) => [...life.told, ...kinds];
  switch (step) {
    case "call":
      return { ...life, calls: life.calls + 1 };
    case "start": {
      const { policy, incarnation } = life;
      return {
        ...unborn(policy),
        incarnation: incarnation + 1,
        status: "running",
        told: told("starting", "running"),
      };
    }
    case "stop":
      return { ...life, status: "stopped", told: told("stopped") };
    case "restart": {
      const fresh = { status: "running" as const, restarts: life.restarts + 1, tries: 0, calls: 0 };
      return { ...life, ...fresh, told: told("restarting", "running") };
    }
    case "crash": {
      const again = {
        status: "running" as const,
        restarts: life.restarts + 1,
        tries: life.tries + 1,
        calls: 0,
      };
      const { policy } = life;
      if (policy.type === "never") return { ...life, status: "crashed", told: told("crashed") };
      if (policy.type === "always")
        return { ...life, ...again, told: told("crashed", "restarting", "running") };
      if (life.tries >= (policy.maxRetries ?? 0))
        return { ...life, status: "gave-up", told: told("crashed", "gave-up") };
      return { ...life, ...again, told: told("crashed", "backing-off", "restarting", "running") };
    }
  }
}
