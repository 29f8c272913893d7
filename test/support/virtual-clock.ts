import type { Clock } from "../../src/clock.ts";

/** Time that moves only when a test says so; also the clock of an actor system: `createActor(machine, { clock })`. */
export interface VirtualClock extends Clock {
  /**
   * Walks `ms` forward from deadline to deadline: each timer fires alone, at its own moment, and everything that
   * its promises set off is over before the next one is looked for. Timers set on the way fire too, if due.
   */
  advance(ms: number): Promise<void>;
  /** Walks to the next deadline and fires all that is due there; `false`, without moving, when nothing waits. */
  advanceToNext(): Promise<boolean>;
  /** The deadlines that wait, earliest first, in milliseconds of this clock. */
  pending(): readonly number[];
}

interface Entry {
  readonly deadline: number;
  readonly order: number;
  readonly callback: () => void;
}

/** The longest timer of Node, which fires a longer one after 1 ms; a test shall see that mistake. */
const longestTimerMs = 2_147_483_647;

/** More timers than this at one moment is a loop that never lets time pass. */
const timersPerMomentMax = 100_000;

/** A {@link VirtualClock} that stands at `startMs`. Timers of one deadline fire in the order they were set. */
export function virtualClock(startMs = 0): VirtualClock {
  const waiting = new Set<Entry>();
  let now = startMs;
  let ordered = 0;

  const clock: VirtualClock = {
    now: () => now,
    setTimeout(callback, ms) {
      if (!(ms <= longestTimerMs)) throw new RangeError(`a timer of ${ms} ms is more than Node can wait`);
      const entry = { deadline: now + Math.max(0, ms), order: ordered++, callback };
      waiting.add(entry);
      return entry;
    },
    clearTimeout(timer) {
      waiting.delete(timer as Entry);
    },
    async advance(ms) {
      await walkTo(now + ms);
    },
    async advanceToNext() {
      await settled();
      const next = earliest();
      if (next === undefined) return false;
      await walkTo(next.deadline);
      return true;
    },
    pending: () => [...waiting].map((entry) => entry.deadline).sort((a, b) => a - b),
  };
  return clock;

  async function walkTo(moment: number): Promise<void> {
    await settled();
    let firedNow = 0;
    for (let next = earliest(); next !== undefined && next.deadline <= moment; next = earliest()) {
      firedNow = next.deadline > now ? 1 : firedNow + 1;
      if (firedNow > timersPerMomentMax) throw new Error(`timers at ${now} ms set new ones without end`);
      now = Math.max(now, next.deadline);
      waiting.delete(next);
      next.callback();
      await settled();
    }
    now = Math.max(now, moment);
  }

  function earliest(): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of waiting)
      if (
        first === undefined ||
        entry.deadline < first.deadline ||
        (entry.deadline === first.deadline && entry.order < first.order)
      )
        first = entry;
    return first;
  }
}

/** Resolves when every promise that could go on has gone on: an immediate runs after all microtasks. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
