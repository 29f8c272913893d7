import type { Clock } from "../../src/clock.ts";
import { proofLimits } from "../../src/limits.ts";

/** Whether control planes are there, as a provider hears them. */
export interface PlanePresence {
  /** It listens from now on. */
  begin(): void;
  /** One of them spoke. */
  heard(): void;
  /**
   * Whether a proof counts although it ended then: while no control plane is in reach nobody can renew it, and just after
   * one is back nobody has yet. What had ended before the silence never counts again.
   */
  lets(expiresMs: number): boolean;
}

/** Nobody was heard yet. */
export function createPlanePresence(clock: Clock): PlanePresence {
  const { planeSilenceMs, planeReturnMs } = proofLimits;
  let beganMs = clock.now();
  let heardMs: number | undefined;
  /** Since when they are heard without a silence; those that were there from the start count as always there. */
  let backSinceMs = Number.NEGATIVE_INFINITY;
  /** Until when all proofs could be renewed. */
  let settledMs = Number.NEGATIVE_INFINITY;
  return {
    begin() {
      beganMs = clock.now();
    },
    heard() {
      const now = clock.now();
      if (now - (heardMs ?? beganMs) > planeSilenceMs) backSinceMs = now;
      heardMs = now;
      if (now - backSinceMs >= planeReturnMs) settledMs = now;
    },
    lets(expiresMs) {
      const now = clock.now();
      const isSilent = now - (heardMs ?? beganMs) > planeSilenceMs;
      const isBack = now - backSinceMs < planeReturnMs;
      return (isSilent || isBack) && expiresMs > settledMs;
    },
  };
}
