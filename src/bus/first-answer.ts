import { type Clock, delay } from "../clock.ts";
import { Failure } from "../protocol/errors.ts";

/** How a request is repeated; the time is that of all attempts together. */
export interface Repetition {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly repeatMs: number;
  /** Ends it with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Sends at once and then again and again, and takes the first answer that says what became of it: a request goes with
 * a connection that is lost, and so does its answer, and nobody says so. Only for what has no second effect when it is
 * repeated. Rejects with what the last attempt was told when none was answered.
 */
export async function firstAnswer<Answer>(
  { clock, timeoutMs, repeatMs, signal }: Repetition,
  send: (timeoutMs: number, signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const answered = new AbortController();
  const over = signal === undefined ? answered.signal : AbortSignal.any([signal, answered.signal]);
  const untilMs = clock.now() + timeoutMs;
  const attempts: Promise<Answer>[] = [];
  const first = Promise.withResolvers<Answer>();
  const attempt = () => {
    const sent = send(untilMs - clock.now(), over);
    sent.then(first.resolve, (error: unknown) => {
      // Silence says nothing, and neither does a connection that was lost: the next attempt may be answered.
      if (!isSilence(error) || isNobodyThere(error)) first.reject(error);
    });
    attempts.push(sent);
  };
  const again = async () => {
    for (attempt(); untilMs - clock.now() > repeatMs; attempt()) await delay(clock, repeatMs, over);
    const outcomes = await Promise.allSettled(attempts);
    first.reject((outcomes.at(-1) as PromiseRejectedResult | undefined)?.reason);
  };
  // The caller's signal may come between two attempts, when none waits that could tell of it.
  again().catch((error: unknown) => first.reject(error));
  try {
    return await first.promise;
  } finally {
    answered.abort(new Error("it is answered"));
  }
}

/** Whether the server said that nobody listens. */
export function isNobodyThere(error: unknown): error is Failure {
  return error instanceof Failure && error.details?.["noResponders"] === true;
}

/** Whoever answers that it waited in vain does not know what became of it either. */
function isSilence(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  return error.code === "TIMEOUT" || (error.code === "COMMUNICATION_FAILURE" && !error.isAnswer);
}
