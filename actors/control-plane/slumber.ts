import type { Clock, Timer } from "../../src/clock.ts";
import { controlPlaneLimits } from "../../src/limits.ts";

/** Whether this process has slept: frozen, or starved of its processor. */
export interface Slumber {
  /** Looks now; to be asked before something that came in meanwhile is acted upon. */
  look(): void;
  stop(): void;
}

/**
 * Calls back when this process has not run for as long as it takes to be given up by its peers: others have acted in
 * its place, and the messages that wait for it are old.
 */
export function watchSlumber(clock: Clock, onWake: (sleptMs: number) => void): Slumber {
  let seenAt = clock.now();
  let timer: Timer;

  function look(): void {
    const sleptMs = clock.now() - seenAt;
    seenAt += sleptMs;
    if (sleptMs > controlPlaneLimits.peerLostMs) onWake(sleptMs);
  }
  function tick(): void {
    look();
    timer = clock.setTimeout(tick, controlPlaneLimits.beatMs);
  }
  tick();

  return { look, stop: () => clock.clearTimeout(timer) };
}
