import type { Clock, Timer } from "./clock.ts";

/** Tells of what may happen in a loop without flooding whoever listens. */
export interface CountedReports<What> {
  /** Counts one that is told apart by `key`, or `times` of them. */
  add(key: string, what: What, times?: number): void;
  /** Whether that key is being counted: its next ones wait for the end of a period. */
  has(key: string): boolean;
  /** Keys that are being counted. */
  readonly size: number;
  /** Tells nothing any more. */
  end(): void;
}

/** The first of its key is told at once, those of each following period as one with their count. */
export function createCountedReports<What>(
  clock: Clock,
  periodMs: number,
  tell: (what: What, count: number) => void,
): CountedReports<What> {
  const kinds = new Map<string, { count: number; timer: Timer }>();

  function settle(key: string, what: What): void {
    const kind = kinds.get(key);
    if (kind === undefined || kind.count === 0) return void kinds.delete(key);
    tell(what, kind.count);
    kind.count = 0;
    kind.timer = clock.setTimeout(() => settle(key, what), periodMs);
  }

  return {
    add(key, what, times = 1) {
      const kind = kinds.get(key);
      if (kind !== undefined) return void (kind.count += times);
      kinds.set(key, { count: times, timer: undefined });
      settle(key, what);
    },
    has: (key) => kinds.has(key),
    get size() {
      return kinds.size;
    },
    end() {
      for (const { timer } of kinds.values()) clock.clearTimeout(timer);
      kinds.clear();
    },
  };
}
