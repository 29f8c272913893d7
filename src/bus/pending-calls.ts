import type { Clock, Timer } from "../clock.ts";
import { busLimits, lostCallLimits } from "../limits.ts";
import type { BusMessage, WaitingRequest } from "./bus.ts";
import type { FailureFor } from "./failures.ts";
import { timedOut } from "./failures.ts";

interface PendingCall {
  readonly subject: string;
  readonly timeoutMs: number;
  readonly startedAt: number;
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
  /** Calls back with the calls that are slow, for as long as there are any; see `Bus.onSlow`. */
  onSlow(listener: (waiting: readonly WaitingRequest[]) => void): () => void;
}

/**
 * A table and one timer. The timer is armed at the nearest deadline ever seen and left alone when calls are
 * answered: a timer per call was most of what a request cost. It fires at most once more after the last call. Where
 * somebody wants to know of slow calls, it also fires some times a second while there are calls.
 */
export function createPendingCalls(clock: Clock): PendingCalls {
  const calls = new Map<string, PendingCall>();
  const slowListeners = new Set<(waiting: readonly WaitingRequest[]) => void>();
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
    if (nearest < Number.POSITIVE_INFINITY) arm(wakeFor(nearest, now), now);
    if (slowListeners.size > 0) tellOfSlow(now);
  }

  /** When to look again. Not when the next call turns slow: that would be a walk over all calls for each of them. */
  function wakeFor(deadline: number, now: number): number {
    return slowListeners.size === 0 ? deadline : Math.min(deadline, now + lostCallLimits.lookEveryMs);
  }

  function tellOfSlow(now: number): void {
    const slow: WaitingRequest[] = [];
    for (const [token, { subject, startedAt }] of calls) {
      // In the order of their start: the first that is not slow is followed by none that is.
      if (now - startedAt < lostCallLimits.slowAfterMs) break;
      slow.push({ subject, token, waitedMs: now - startedAt });
    }
    if (slow.length > 0) for (const listener of slowListeners) listener(slow);
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
      if (deadline < armedAt) {
        const wakeAt = wakeFor(deadline, now);
        if (wakeAt < armedAt) arm(wakeAt, now);
      }
      return new Promise((resolve, reject) => {
        const release = watch(token, signal);
        calls.set(token, { subject, timeoutMs, startedAt: now, deadline, resolve, reject, release });
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
    onSlow(listener) {
      slowListeners.add(listener);
      const now = clock.now();
      if (calls.size > 0 && wakeFor(armedAt, now) < armedAt) arm(wakeFor(armedAt, now), now);
      return () => void slowListeners.delete(listener);
    },
  };
}
