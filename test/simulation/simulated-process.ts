import type { Clock } from "../../src/clock.ts";
import type { Due, EventQueue } from "./event-queue.ts";

/** How a machine's clock runs: how far off it is, and how much faster than true time. */
export interface ClockError {
  offsetMs: number;
  readonly rate: number;
}

/** One life of one process: everything that runs in it runs through here. */
export interface SimulatedProcess {
  readonly clock: Clock;
  readonly isAlive: boolean;
  readonly isPaused: boolean;
  /** Runs it now; after the pause while paused, and never once killed. */
  run(work: () => void): void;
  pause(): void;
  /** Everything that came meanwhile happens now, each in a turn of its own and in the order of its coming. */
  resume(): void;
  kill(): void;
}

/** What a process needs of its world. */
export interface ProcessWorld {
  readonly queue: EventQueue;
  /** Code of a process is about to run: its promises go on before the next thing happens. */
  readonly wake: () => void;
  readonly onError: (error: unknown) => void;
}

/** The moment at which simulations begin, ms since 1970. */
export const simulationEpoch = 1_800_000_000_000;

/** The longest timer of Node, which fires a longer one after 1 ms. */
const longestTimerMs = 2_147_483_647;

/** Begins a process on a machine whose clock has that error; timers run at its rate, but are not moved by its steps. */
export function beginProcess({ queue, wake, onError }: ProcessWorld, error: ClockError): SimulatedProcess {
  const waiting: (() => void)[] = [];
  let isAlive = true;
  let isPaused = false;

  function run(work: () => void): void {
    if (!isAlive) return;
    if (isPaused) {
      waiting.push(work);
      return;
    }
    wake();
    try {
      work();
    } catch (thrown) {
      onError(thrown);
    }
  }

  const clock: Clock = {
    // The small part makes up for what floating point takes from a whole millisecond.
    now: () => Math.floor(simulationEpoch + error.offsetMs + queue.now * error.rate + 1e-4),
    setTimeout(callback, ms) {
      if (!(ms <= longestTimerMs)) throw new RangeError(`a timer of ${ms} ms is more than Node can wait`);
      if (!isAlive) return undefined;
      const timer: Due = queue.at(queue.now + Math.max(1, Math.ceil(ms)) / error.rate, () =>
        run(() => {
          if (!timer.cancelled) callback();
        }),
      );
      return timer;
    },
    clearTimeout(timer) {
      if (timer !== undefined) (timer as Due).cancelled = true;
    },
  };

  return {
    clock,
    get isAlive() {
      return isAlive;
    },
    get isPaused() {
      return isPaused;
    },
    run,
    pause() {
      isPaused = true;
    },
    resume() {
      if (!isPaused) return;
      isPaused = false;
      for (const work of waiting.splice(0)) queue.at(queue.now, () => run(work));
    },
    kill() {
      isAlive = false;
      waiting.length = 0;
    },
  };
}
