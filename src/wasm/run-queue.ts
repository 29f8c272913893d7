import type { Marks } from "./marks.ts";

/**
 * Lets suspended guests of one cell go on one at a time, and marks which one does. Without it V8 continues
 * several in one run of the microtask queue and a watchdog blames the wrong one (measured: right in 0 of 25).
 */
export interface RunQueue {
  /** A guest has come to rest: it waits for something, or its call is over. */
  rested(slot: number): void;
  /** Resolves when `slot` may go on; it counts as running from then on until it rests. */
  turn(slot: number): Promise<void>;
  /** How many guests wait for something or for their turn. */
  readonly waiting: number;
}

/** A queue for one cell. */
export function createRunQueue(marks: Marks): RunQueue {
  const queue: { slot: number; go: () => void }[] = [];
  let running: number | undefined;
  let before = -1;

  const next = () => {
    if (running !== undefined) return;
    const entry = queue.shift();
    if (entry === undefined) return;
    running = entry.slot;
    before = marks.enter(entry.slot);
    entry.go();
  };

  return {
    get waiting() {
      return queue.length;
    },
    rested(slot) {
      if (running !== slot) return;
      running = undefined;
      marks.leave(before);
      next();
    },
    turn(slot) {
      return new Promise((resolve) => {
        queue.push({ slot, go: resolve });
        next();
      });
    },
  };
}
