import { signedCommandLimits } from "../limits.ts";

/** Commands that were taken, by their nonces, for as long as their time alone would let them in again. */
export interface SeenNonces {
  /** Takes note of it; false when it was there before, or is older than what had to be forgotten for want of room. */
  take(nonce: string, atMs: number, nowMs: number): boolean;
}

/**
 * Remembers nonces for twice the window, for a clock may be ahead as well as behind. When there are too many the oldest
 * go first, and then what was signed before them is refused by its time: nothing that was forgotten can come again.
 */
export function createSeenNonces(
  windowMs: number = signedCommandLimits.windowMs,
  noncesMax: number = signedCommandLimits.noncesMax,
): SeenNonces {
  /** In the order in which they came. */
  const seen = new Map<string, { readonly atMs: number; readonly cameMs: number }>();
  let notBeforeMs = Number.NEGATIVE_INFINITY;
  return {
    take(nonce, atMs, nowMs) {
      for (const [old, { cameMs }] of seen) {
        if (cameMs + 2 * windowMs >= nowMs) break;
        seen.delete(old);
      }
      if (atMs <= notBeforeMs || seen.has(nonce)) return false;
      seen.set(nonce, { atMs, cameMs: nowMs });
      if (seen.size > noncesMax) {
        const [oldest] = seen;
        if (oldest !== undefined) {
          seen.delete(oldest[0]);
          notBeforeMs = Math.max(notBeforeMs, oldest[1].atMs);
        }
      }
      return true;
    },
  };
}
