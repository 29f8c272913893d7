import type { Clock } from "../../clock.ts";
import type { Failure } from "../../protocol/errors.ts";

/** From the beginning of an exchange to its end, which comes once, whoever brings it about. */
export interface Lifetime {
  /** Aborted with the `Failure` when it is given up. */
  readonly signal: AbortSignal;
  /** Rejects with the `Failure` when it is given up; never resolves. */
  readonly givenUp: Promise<never>;
  readonly giveUp: (reason: Failure) => void;
  /** Nothing is left of it. */
  readonly end: () => void;
  /** From now on it is given up with that reason after `ms`; the deadline before this one no longer counts. */
  limit(ms: number, reason: () => Failure): void;
}

/** Begins a lifetime; `onEnd` is called once. */
export function beginLifetime(clock: Clock, onEnd: () => void): Lifetime {
  const over = new AbortController();
  const givenUp = Promise.withResolvers<never>();
  // Most of the time nobody waits for it.
  givenUp.promise.catch(() => undefined);
  let deadline: unknown;
  let isOver = false;

  const end = () => {
    if (isOver) return;
    isOver = true;
    clock.clearTimeout(deadline);
    onEnd();
  };
  const giveUp = (reason: Failure) => {
    over.abort(reason);
    givenUp.reject(reason);
    end();
  };
  return {
    signal: over.signal,
    givenUp: givenUp.promise,
    giveUp,
    end,
    limit(ms, reason) {
      clock.clearTimeout(deadline);
      if (!isOver) deadline = clock.setTimeout(() => giveUp(reason()), ms);
    },
  };
}
