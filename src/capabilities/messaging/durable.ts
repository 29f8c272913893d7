import { createHash } from "node:crypto";
import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  JetStreamApiError,
  type JsMsg,
  jetstream,
} from "@nats-io/jetstream";
import { nanos, type NatsConnection } from "nats";
import { delay } from "../../clock.ts";
import type { Recipient } from "./contract.ts";
import { wasUnseen } from "./deliver.ts";
import { type Mailbox, reasonOf } from "./mailbox.ts";
import type { MessageSource, SubscriptionWorld } from "./subscription.ts";

/** The server's code for a consumer that is not there, `server/errors.json` of nats-server. */
const consumerNotFound = 10014;

/** Characters of the digest of a topic that tell the consumers of one name apart. */
const digestCharacters = 16;

/**
 * The durable consumer that all copies of a name share for one topic. Its parts are joined so that no two pairs of
 * lattice and name make one: both may contain every character that a consumer's name may.
 */
export function durableConsumerName({ lattice, name }: Omit<Recipient, "instanceId">, topic: string): string {
  const digest = createHash("sha256").update(topic).digest("hex").slice(0, digestCharacters);
  return `wasmatrix_${lattice.length}_${lattice}_${name}_${digest}`;
}

/**
 * Feeds an instance from a stream that exists, through a durable consumer that is made where it is missing and stays
 * when the subscription ends: what comes meanwhile is delivered later, to any copy of the name. It begins with the oldest
 * message that the stream has. A message is acknowledged once the guest returned; what it failed on
 * comes again after a delay that doubles, and is terminated and counted as dropped after `deliveriesMax` times.
 */
export function consumeStream(
  world: SubscriptionWorld & { readonly connection: NatsConnection },
  mailbox: Mailbox,
  stream: string,
  topic: string,
): MessageSource {
  const { clock, limits, stats, abort } = world;
  const ended = new AbortController();
  const isOpen = () => !ended.signal.aborted;
  const over = AbortSignal.any([ended.signal, abort]);
  const handle = handlerOf(world, mailbox, topic, isOpen);

  async function consume(): Promise<void> {
    let consumer: Consumer | undefined;
    let isTold = false;
    while (isOpen()) {
      try {
        consumer ??= await openConsumer(world, mailbox.recipient, stream, topic);
        // One at a time: a message that waits here would be another copy's to handle.
        const message = await consumer.next({ expires: limits.pullMs });
        isTold = false;
        if (message !== null) await handle(message);
      } catch (error) {
        if (!isOpen()) return;
        consumer = undefined;
        const details = { ...mailbox.recipient, topic, stream, reason: reasonOf(error) };
        if (!isTold) world.warn(details, "a stream cannot be read");
        isTold = true;
        await delay(clock, limits.streamRetryMs, over).catch(() => {});
      }
    }
  }

  stats.subscriptions += 1;
  void consume();
  return {
    topic,
    end() {
      if (!isOpen()) return;
      stats.subscriptions -= 1;
      ended.abort(new Error("the subscription ended"));
    },
  };
}

/** Hands a message to the guest when its turn has come, and tells the stream what came of it. */
function handlerOf(
  world: SubscriptionWorld,
  mailbox: Mailbox,
  topic: string,
  isOpen: () => boolean,
): (message: JsMsg) => Promise<void> {
  const { clock, limits, stats } = world;

  function failedOn(message: JsMsg, error: unknown): void {
    const { deliveryCount } = message.info;
    if (!wasUnseen(error)) {
      stats.failed += 1;
      world.tellFailed(mailbox, topic, 1, reasonOf(error));
    }
    if (deliveryCount >= limits.deliveriesMax) return giveUp(message, reasonOf(error));
    message.nak(limits.nakDelayMs * 2 ** (deliveryCount - 1));
  }

  function giveUp(message: JsMsg, reason: string): void {
    message.term();
    stats.dropped += 1;
    world.tellDropped(mailbox, topic, 1, reason);
  }

  /** Tells the server that the message is still in hand, while it waits for its turn and while the guest works. */
  function keepWorking(message: JsMsg): () => void {
    const periodMs = limits.ackWaitMs / 3;
    let timer = clock.setTimeout(function again() {
      message.working();
      timer = clock.setTimeout(again, periodMs);
    }, periodMs);
    return () => clock.clearTimeout(timer);
  }

  return async (message) => {
    const stopWorking = keepWorking(message);
    try {
      await mailbox.inTurn(async () => {
        if (!isOpen()) return message.nak();
        const { deliveryCount } = message.info;
        if (deliveryCount > limits.deliveriesMax) return giveUp(message, "its deliveries are used up");
        const body = new Uint8Array(message.data);
        try {
          await mailbox.deliver(topic, { subject: message.subject, body }, isOpen);
          stats.delivered += 1;
          message.ack();
        } catch (error) {
          failedOn(message, error);
        }
      });
    } finally {
      stopWorking();
    }
  };
}

async function openConsumer(
  { connection, limits }: SubscriptionWorld & { readonly connection: NatsConnection },
  recipient: Recipient,
  stream: string,
  topic: string,
): Promise<Consumer> {
  const js = jetstream(connection, { timeout: limits.subscribeTimeoutMs });
  const jsm = await js.jetstreamManager(false);
  const name = durableConsumerName(recipient, topic);
  try {
    await jsm.consumers.info(stream, name);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== consumerNotFound) throw error;
    await jsm.consumers.add(stream, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(limits.ackWaitMs),
      deliver_policy: DeliverPolicy.All,
      filter_subject: topic,
      // The bound is ours, for what the server gives up silently is counted nowhere.
      max_deliver: -1,
    });
  }
  return js.consumers.get(stream, name);
}
