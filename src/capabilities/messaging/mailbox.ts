import { Failure } from "../../protocol/errors.ts";
import type { Delivery, Recipient } from "./contract.ts";
import { deliver, type DeliveryWorld } from "./deliver.ts";

/** One instance as messaging sees it: it gets one message at a time, whichever subscription it came from. */
export interface Mailbox {
  readonly recipient: Recipient;
  /** Hands over the message that `next` gives once it is the turn of the one who asks; turns come in their order. */
  inTurn(next: () => Promise<void>): Promise<void>;
  /**
   * Delivers what a subscription to that topic brought, and publishes what the guest answers to the message's
   * `replyTo`. Rejects as `deliver` does.
   */
  deliver(topic: string, message: Delivery, isWanted: () => boolean): Promise<void>;
  /** Whether the guest is handling a message whose answers go to that subject. */
  isReplySubject(subject: string): boolean;
  /** Resolves once nothing is in progress. */
  settled(): Promise<unknown>;
}

/** The mailbox of one instance. */
export function createMailbox(world: DeliveryWorld, recipient: Recipient): Mailbox {
  const replies = new Map<string, number>();
  let last: Promise<unknown> = Promise.resolve();

  async function deliverOne(topic: string, message: Delivery, isWanted: () => boolean): Promise<void> {
    const { replyTo } = message;
    if (replyTo === undefined) {
      await deliver(world, recipient, topic, message, isWanted);
      return;
    }
    replies.set(replyTo, (replies.get(replyTo) ?? 0) + 1);
    try {
      const answer = await deliver(world, recipient, topic, message, isWanted);
      if (answer.length > 0) publishAnswer(world, replyTo, answer);
    } finally {
      const left = (replies.get(replyTo) ?? 1) - 1;
      if (left === 0) replies.delete(replyTo);
      else replies.set(replyTo, left);
    }
  }

  return {
    recipient,
    inTurn(next) {
      const running = last.then(next);
      last = running.catch(() => {});
      return running;
    },
    deliver: deliverOne,
    isReplySubject: (subject) => replies.has(subject),
    settled: () => last,
  };
}

/** The guest has handled the message: what goes wrong now must not look as if it had not. */
function publishAnswer({ topicBus }: DeliveryWorld, replyTo: string, answer: Uint8Array): void {
  try {
    topicBus.publish(replyTo, answer);
  } catch (error) {
    throw new Failure("COMMUNICATION_FAILURE", `its answer could not be sent: ${reasonOf(error)}`, {
      retry: "never",
      cause: error,
    });
  }
}

/** Why a delivery failed, in a few words for a log. */
export function reasonOf(error: unknown): string {
  return error instanceof Failure ? `${error.code}: ${error.message}` : String(error);
}
