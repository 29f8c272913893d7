/**
 * Who runs in a cell, as its watchdog sees it from another thread: the running slot and a counter that changes
 * with every entry and every exit. No clock is read on the path of a call; the watchdog knows from the counter
 * standing still.
 */
export interface Marks {
  /** `slot` runs from now on; returns what to give to {@link Marks.leave}. */
  enter(slot: number): number;
  /** What ran before runs again. */
  leave(before: number): void;
}

const RUNNING = 0;
const TURN = 1;

/** Room for one cell's marks. */
export function createMarksBuffer(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  new Int32Array(buffer)[RUNNING] = -1;
  return buffer;
}

/** The cell's side. */
export function createMarks(buffer: SharedArrayBuffer): Marks {
  const cells = new Int32Array(buffer);
  const mark = (slot: number) => {
    // Turn before slot: the watchdog must never see a new slot with the turn of the one before it.
    Atomics.add(cells, TURN, 1);
    Atomics.store(cells, RUNNING, slot);
  };
  return {
    enter(slot) {
      const before = cells[RUNNING] as number;
      mark(slot);
      return before;
    },
    leave: mark,
  };
}

/** The watchdog's side: the running slot, or −1, and the turn it was read in. */
export function readMarks(buffer: SharedArrayBuffer): { slot: number; turn: number } {
  const cells = new Int32Array(buffer);
  return { slot: Atomics.load(cells, RUNNING), turn: Atomics.load(cells, TURN) };
}
