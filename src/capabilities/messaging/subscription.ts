import type { BusMessage } from "../../bus/bus.ts";
import type { DeliveryWorld } from "./deliver.ts";
import { wasUnseen } from "./deliver.ts";
import { createLossReport } from "./loss-report.ts";
import { type Mailbox, reasonOf } from "./mailbox.ts";
import { createMessageQueue, type QueuedBytes } from "./message-queue.ts";

/** What messaging has done, since it was made. */
export interface MessagingStats {
  /** Subscriptions that are open now. */
  subscriptions: number;
  /** Messages that were handled. */
  delivered: number;
  /** Messages that guests failed on. */
  failed: number;
  /** Messages that no guest ever saw, or that were given up: a full queue, an instance away for too long. */
  dropped: number;
}

/** What a subscription works with. */
export interface SubscriptionWorld extends DeliveryWorld {
  readonly queued: QueuedBytes;
  readonly stats: MessagingStats;
  readonly warn: (details: object, message: string) => void;
  readonly tellDropped: (mailbox: Mailbox, topic: string, count: number, reason: string) => void;
  readonly tellFailed: (mailbox: Mailbox, topic: string, count: number, reason: string) => void;
}

/** A way by which an instance gets messages. */
export interface MessageSource {
  readonly topic: string;
  /** No message is begun after this; one in progress goes on to its end. */
  end(): void;
}

/**
 * Subscribes an instance to a topic, as a member of a queue group. Messages wait in a queue with a bound, whose
 * oldest are dropped and counted when it is full.
 */
export function subscribeMailbox(
  world: SubscriptionWorld,
  mailbox: Mailbox,
  topic: string,
  queueGroup: string,
): MessageSource {
  const { topicBus, clock, limits, stats } = world;
  const queue = createMessageQueue(limits, world.queued);
  const dropped = createLossReport(clock, limits.reportPeriodMs, (count, reason) =>
    world.tellDropped(mailbox, topic, count, reason),
  );
  const failed = createLossReport(clock, limits.reportPeriodMs, (count, reason) =>
    world.tellFailed(mailbox, topic, count, reason),
  );
  let isOpen = true;
  let isPumping = false;

  function hear(message: BusMessage): void {
    if (!isOpen) return;
    const { subject, replyTo } = message;
    // A copy: the view would keep what the socket read, for as long as the message waits.
    const body = new Uint8Array(message.data);
    const lost = queue.push({ subject, body, ...(replyTo === undefined ? {} : { replyTo }) });
    for (let count = 0; count < lost; count += 1) drop("its queue is full");
    if (!isPumping) void pump();
  }

  function drop(reason: string): void {
    stats.dropped += 1;
    dropped.add(reason);
  }

  async function pump(): Promise<void> {
    isPumping = true;
    // The message is taken when its turn has come: until then a newer one may push it out.
    while (queue.length > 0) await mailbox.inTurn(deliverNext);
    isPumping = false;
    if (!isOpen) endReports();
  }

  async function deliverNext(): Promise<void> {
    const message = queue.shift();
    if (message === undefined) return;
    try {
      await mailbox.deliver(topic, message, () => isOpen);
      stats.delivered += 1;
    } catch (error) {
      if (wasUnseen(error)) return drop(reasonOf(error));
      stats.failed += 1;
      failed.add(reasonOf(error));
    }
  }

  function endReports(): void {
    dropped.end();
    failed.end();
  }

  const subscription = topicBus.subscribe(topic, hear, { queue: queueGroup });
  stats.subscriptions += 1;
  return {
    topic,
    end() {
      if (!isOpen) return;
      isOpen = false;
      stats.subscriptions -= 1;
      subscription.unsubscribe();
      queue.clear();
      if (!isPumping) endReports();
    },
  };
}
