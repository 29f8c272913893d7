import type { Clock, Timer } from "../../src/clock.ts";
import { controlPlaneLimits } from "../../src/limits.ts";

/** Whether this process has slept: frozen, or starved of its processor. */
export interface Slumber {
  /** Looks now; to be asked before something that came in meanwhile is acted upon. */
  look(): void;
  stop(): void;
}

/**
 * Calls back when this process has not looked up for as long as it takes to be given up by its peers: others have acted
 * in its place, and the messages that wait for it are old. `wasBusy` tells that it was its own work that took so long,
 * a large replay say; then nothing was missed that does not wait in its socket.
 *
 * @param cpuMs processor time of this process so far.
 */
export function watchSlumber(
  clock: Clock,
  cpuMs: () => number,
  onWake: (sleptMs: number, wasBusy: boolean) => void,
): Slumber {
  let seenAt = clock.now();
  let usedMs = cpuMs();
  let timer: Timer;

  function look(): void {
    const sleptMs = clock.now() - seenAt;
    seenAt += sleptMs;
    const before = usedMs;
    usedMs = cpuMs();
    if (sleptMs > controlPlaneLimits.peerLostMs) onWake(sleptMs, usedMs - before > sleptMs / 2);
  }
  function tick(): void {
    look();
    timer = clock.setTimeout(tick, controlPlaneLimits.beatMs);
  }
  tick();

  return { look, stop: () => clock.clearTimeout(timer) };
}
