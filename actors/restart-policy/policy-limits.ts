import { restartLimits } from "../../src/limits.ts";

/** The bounds of a policy that are not in its configuration. */
export interface RestartPolicyLimits {
  /** A run this long clears the count of tries. Milliseconds. */
  stableRunMs: number;
  /** `always` restarts at most this many crashes within `periodMs`. */
  intensity: number;
  periodMs: number;
}

/** The bounds of instances, and in their place those that are given. */
export function policyLimits(given: Partial<RestartPolicyLimits> = {}): RestartPolicyLimits {
  return {
    stableRunMs: restartLimits.stableRunMs,
    intensity: restartLimits.alwaysIntensity,
    periodMs: restartLimits.alwaysPeriodMs,
    ...given,
  };
}

/** A duration as an operator reads it. */
export function inSeconds(ms: number): string {
  return `${ms / 1000} s`;
}
