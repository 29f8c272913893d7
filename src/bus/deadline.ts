import type { Clock } from "../clock.ts";
import type { Failure } from "../protocol/errors.ts";

/** The promise's outcome, or a rejection with `late()` when it takes longer than `ms`; the client's own may never settle. */
export function within<Value>(
  clock: Clock,
  ms: number,
  promise: Promise<Value>,
  late: () => Failure,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(() => reject(late()), ms);
    promise.then(resolve, reject).finally(() => clock.clearTimeout(timer));
  });
}

/** Resolves when the promise settles either way, and after `ms` at the latest. */
export function settledWithin(clock: Clock, ms: number, promise: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimeout(resolve, ms);
    const settled = () => {
      clock.clearTimeout(timer);
      resolve();
    };
    promise.then(settled, settled);
  });
}
