import type { Clock } from "../clock.ts";
import { engineLimits } from "../limits.ts";
import { readMarks } from "./marks.ts";

/** What a watchdog needs to know of a cell. */
export interface Watched {
  readonly marks: SharedArrayBuffer;
  /** How long that slot may run without coming to rest, ms; undefined for a slot that is gone. */
  runLimitMs(slot: number): number | undefined;
  /** The slot has run for longer, since that time at the latest. Called once, then the cell is no longer watched. */
  overran(slot: number, sinceMs: number): void;
}

/**
 * Looks at each cell every 10 ms. A slot that still runs in the turn in which it was seen before has run all that
 * time; one that ran longer than it may is reported. Fuel ends most guests long before.
 */
export function createWatchdog(clock: Clock): { watch(cell: Watched): () => void } {
  const seen = new Map<Watched, { turn: number; sinceMs: number }>();

  const look = () => {
    const nowMs = clock.now();
    for (const [cell, last] of seen) {
      const { slot, turn } = readMarks(cell.marks);
      if (slot < 0 || turn !== last.turn) {
        seen.set(cell, { turn, sinceMs: nowMs });
        continue;
      }
      const limitMs = cell.runLimitMs(slot);
      if (limitMs === undefined || nowMs - last.sinceMs < limitMs) continue;
      seen.delete(cell);
      cell.overran(slot, last.sinceMs);
    }
    clock.setTimeout(look, engineLimits.watchdogMs);
  };
  look();

  return {
    watch(cell) {
      seen.set(cell, { turn: -1, sinceMs: clock.now() });
      return () => seen.delete(cell);
    },
  };
}
