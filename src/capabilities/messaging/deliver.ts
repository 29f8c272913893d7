import type { Bus } from "../../bus/bus.ts";
import { failureInAnswer } from "../../bus/guest-answers.ts";
import { type Clock, delay } from "../../clock.ts";
import { subjectFor } from "../../protocol/addresses.ts";
import { headers } from "../../protocol/calls.ts";
import { encode } from "../../protocol/codec.ts";
import { Failure } from "../../protocol/errors.ts";
import { type Delivery, handlerOperation, type Recipient } from "./contract.ts";
import type { MessagingLimits } from "./messaging-limits.ts";

/** What a delivery goes through. */
export interface DeliveryWorld {
  /** The lattice's own: calls of guests. */
  readonly bus: Bus;
  /** Where applications speak, which need not be the same user of the server. */
  readonly topicBus: Bus;
  readonly clock: Clock;
  readonly limits: MessagingLimits;
  /** Gives up every delivery in progress. */
  readonly abort: AbortSignal;
}

/**
 * Calls the instance with a message of its subscription to a topic and gives its answer. While the instance is away the message is held, for
 * `unreachableMs` and as long as it is wanted: trying again is safe because nobody saw it.
 *
 * Rejects with a `Failure`; whether a guest may have seen the message tells {@link wasUnseen}.
 */
export async function deliver(
  { bus, clock, limits, abort }: DeliveryWorld,
  { lattice, instanceId }: Recipient,
  topic: string,
  { subject, body, replyTo }: Delivery,
  isWanted: () => boolean,
): Promise<Uint8Array> {
  const target = subjectFor("call", { lattice, target: instanceId, operation: handlerOperation });
  const payload = encode({ subject, body, ...(replyTo === undefined ? {} : { replyTo }) }, "msgpack");
  const timeoutMs = limits.deliveryTimeoutMs;
  const told = { [headers.timeoutMs]: String(timeoutMs), [headers.uses]: `msg:subscribe:${topic}` };
  const call = { timeoutMs, headers: told, signal: abort };
  const until = clock.now() + limits.unreachableMs;
  for (;;) {
    try {
      const answer = await bus.request(target, payload, call);
      const failure = failureInAnswer(answer);
      if (failure !== undefined) throw failure;
      return answer.data;
    } catch (error) {
      const mayHelp = wasUnseen(error) && (error as Failure).retry !== "never";
      if (!mayHelp || clock.now() >= until || !isWanted()) throw error;
    }
    await delay(clock, limits.retryDelayMs, abort);
  }
}

/** Whether a delivery surely failed before its guest saw the message. */
export function wasUnseen(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  if (error.details?.["safeToRepeat"] === true) return true;
  // A full mailbox, or a cell with too many calls.
  return error.code === "RESOURCE_EXHAUSTED" && error.retry === "later";
}
