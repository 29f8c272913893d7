import type { Clock, Timer } from "../../clock.ts";

/** Counts what is lost and tells it: the first at once, then at most once a period, so that no loss goes untold. */
export interface LossReport {
  add(reason: string): void;
  /** Tells the rest; nothing may be added after it. */
  end(): void;
}

/** `tell` gets how many were lost since it was told last, and why the last one was. Must not throw. */
export function createLossReport(
  clock: Clock,
  periodMs: number,
  tell: (count: number, reason: string) => void,
): LossReport {
  let count = 0;
  let lastReason = "";
  let timer: Timer;

  const flush = () => {
    timer = undefined;
    if (count === 0) return;
    const lost = count;
    count = 0;
    timer = clock.setTimeout(flush, periodMs);
    tell(lost, lastReason);
  };
  return {
    add(reason) {
      count += 1;
      lastReason = reason;
      if (timer === undefined) flush();
    },
    end() {
      clock.clearTimeout(timer);
      flush();
      clock.clearTimeout(timer);
    },
  };
}
