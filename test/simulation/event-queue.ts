/** Something that is due at a moment of simulated time; `cancelled` makes it not happen. */
export interface Due {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
  cancelled: boolean;
}

/** What happens in a simulated world, in the order of its moments, and of their making within one moment. */
export interface EventQueue {
  /** True time, ms since the simulation began; no process sees it but through its own clock. */
  readonly now: number;
  at(moment: number, happen: () => void): Due;
  /** Moves to the next moment and lets one thing happen there; false when nothing waits until then. */
  step(until: number): boolean;
}

/** An empty queue at moment 0: a binary heap, for a thousand nodes keep some ten thousand timers. */
export function createEventQueue(): EventQueue {
  const heap: Due[] = [];
  let now = 0;
  let orders = 0;

  return {
    get now() {
      return now;
    },
    at(moment, happen) {
      const due: Due = { at: Math.max(moment, now), order: orders++, happen, cancelled: false };
      rise(heap, due);
      return due;
    },
    step(until) {
      for (;;) {
        const first = heap[0];
        if (first === undefined || first.at > until) {
          now = Math.max(now, until);
          return false;
        }
        takeFirst(heap);
        if (first.cancelled) continue;
        now = first.at;
        first.happen();
        return true;
      }
    },
  };
}

function isBefore(one: Due, other: Due): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

function rise(heap: Due[], due: Due): void {
  let index = heap.length;
  heap.push(due);
  while (index > 0) {
    const above = (index - 1) >> 1;
    const parent = heap[above] as Due;
    if (!isBefore(due, parent)) break;
    heap[index] = parent;
    index = above;
  }
  heap[index] = due;
}

function takeFirst(heap: Due[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    const right = heap[child + 1];
    if (right !== undefined && isBefore(right, heap[child] as Due)) child += 1;
    const smaller = heap[child] as Due;
    if (!isBefore(smaller, last)) break;
    heap[index] = smaller;
    index = child;
  }
  heap[index] = last;
}
