import type { Clock, Timer } from "../clock.ts";
import { busLimits } from "../limits.ts";
import type { BusMessage } from "./bus.ts";
import type { FailureFor } from "./failures.ts";
import { timedOut } from "./failures.ts";

interface PendingCall {
  readonly subject: string;
  readonly timeoutMs: number;
  readonly deadline: number;
  readonly resolve: (answer: BusMessage) => void;
  readonly reject: (reason: unknown) => void;
  /** Removes the listener from the caller's signal. */
  readonly release: (() => void) | undefined;
}

/** The requests of one connection that wait for their answers, by reply token. */
export interface PendingCalls {
  readonly size: number;
  /**
   * Adds a call; rejects with TIMEOUT at its deadline, with the signal's reason when that is aborted first.
   * `timeoutMs` is above zero and `signal` not yet aborted.
   */
  open(
    token: string,
    subject: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<BusMessage>;
  /** Resolves that call; an answer to none (late, repeated, forged) is dropped. */
  answer(token: string, message: BusMessage): void;
  fail(token: string, failureFor: FailureFor): void;
  /** Fails every call, or those to `onlySubject`. */
  failAll(failureFor: FailureFor, onlySubject?: string): void;
}

/**
 * A table and one timer. The timer is armed at the nearest deadline ever seen and left alone when calls are
 * answered: a timer per call was most of what a request cost. It fires at most once more after the last call.
 */
export function createPendingCalls(clock: Clock): PendingCalls {
  const calls = new Map<string, PendingCall>();
  let timer: Timer;
  let armedAt = Number.POSITIVE_INFINITY;

  function arm(deadline: number, now: number): void {
    if (timer !== undefined) clock.clearTimeout(timer);
    armedAt = deadline;
    timer = clock.setTimeout(sweep, Math.max(1, deadline - now));
  }

  function disarm(): void {
    if (timer !== undefined) clock.clearTimeout(timer);
    timer = undefined;
    armedAt = Number.POSITIVE_INFINITY;
  }

  function sweep(): void {
    disarm();
    const now = clock.now();
    let nearest = Number.POSITIVE_INFINITY;
    for (const [token, call] of calls) {
      if (call.deadline <= now) settle(token)?.reject(timedOut(call.subject, call.timeoutMs));
      else if (call.deadline < nearest) nearest = call.deadline;
    }
    if (nearest < Number.POSITIVE_INFINITY) arm(nearest, now);
  }

  function settle(token: string): PendingCall | undefined {
    const call = calls.get(token);
    if (call === undefined) return undefined;
    calls.delete(token);
    call.release?.();
    return call;
  }

  function watch(token: string, signal: AbortSignal | undefined): (() => void) | undefined {
    if (signal === undefined) return undefined;
    const onAbort = () => settle(token)?.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    return () => signal.removeEventListener("abort", onAbort);
  }

  return {
    get size() {
      return calls.size;
    },
    open(token, subject, timeoutMs, signal) {
      const now = clock.now();
      const deadline = now + Math.min(timeoutMs, busLimits.requestTimeoutMsMax);
      if (deadline < armedAt) arm(deadline, now);
      return new Promise((resolve, reject) => {
        calls.set(token, { subject, timeoutMs, deadline, resolve, reject, release: watch(token, signal) });
      });
    },
    answer(token, message) {
      settle(token)?.resolve(message);
    },
    fail(token, failureFor) {
      const call = settle(token);
      call?.reject(failureFor(call.subject));
    },
    failAll(failureFor, onlySubject) {
      for (const [token, call] of calls) {
        if (onlySubject === undefined || call.subject === onlySubject)
          settle(token)?.reject(failureFor(call.subject));
      }
      if (calls.size === 0) disarm();
    },
  };
}
