import type { NatsConnection } from "nats";
import type { Timer } from "../../clock.ts";
import { Failure } from "../../protocol/errors.ts";
import type { GrantHolder } from "../capability.ts";
import type { Recipient } from "./contract.ts";
import { consumeStream } from "./durable.ts";
import { createMailbox, type Mailbox, reasonOf } from "./mailbox.ts";
import { type MessageSource, subscribeMailbox, type SubscriptionWorld } from "./subscription.ts";
import { subscribableTopics, topicRefusal, topicsIn } from "./topics.ts";

/** What subscribers work with. */
export interface SubscriberWorld extends SubscriptionWorld {
  /** For streams; without one, grants that name a stream get nothing, and the log says so. */
  readonly connection: NatsConnection | undefined;
}

/** An instance with everything that it is subscribed to. */
export interface Subscriber {
  readonly mailbox: Mailbox;
  /** Whether its grants were told once: from then on their absence means that they are gone. */
  readonly isConfirmed: boolean;
  /** What the guest asked for; RESOURCE_EXHAUSTED beyond `subscriptionsPerInstanceMax`. */
  subscribe(topic: string, group: string | undefined): void;
  unsubscribe(topic: string): void;
  /**
   * The grants of its present life: subscribes to what they list, and ends what they do not cover any more. What the
   * guest of an earlier incarnation asked for ends too.
   */
  hold(holders: readonly GrantHolder[], incarnation: number): void;
  /** Ends all of it. */
  end(): void;
}

/**
 * A subscriber without subscriptions. One that no grant confirms within `unconfirmedMs` calls `onUnconfirmed`: its
 * guest asked before the facts of its grant came, and they never did.
 */
export function createSubscriber(
  world: SubscriberWorld,
  recipient: Recipient,
  onUnconfirmed: () => void,
): Subscriber {
  const { clock, limits } = world;
  const max = limits.subscriptionsPerInstanceMax;
  const mailbox = createMailbox(world, recipient);
  const asked = new Map<string, { source: MessageSource; group: string | undefined }>();
  const listed = new Map<string, MessageSource>();
  const warned = new Set<string>();
  let life: number | undefined;
  let held: readonly GrantHolder[] = [];
  const unconfirmed: Timer = clock.setTimeout(onUnconfirmed, limits.unconfirmedMs);

  function endAsked(isOver: (topic: string) => boolean): void {
    for (const [topic, { source }] of asked) {
      if (!isOver(topic)) continue;
      source.end();
      asked.delete(topic);
    }
  }

  function hold(holders: readonly GrantHolder[], incarnation: number): void {
    clock.clearTimeout(unconfirmed);
    // Told again because of others. What a call asked for may rest on a change of these that is yet to be told.
    const isKnown = holders.length === held.length && holders.every((one, index) => one === held[index]);
    if (life === incarnation && isKnown) return;
    held = holders;
    const isOtherLife = life !== undefined && life !== incarnation;
    life = incarnation;
    endAsked(
      (topic) =>
        isOtherLife ||
        holders.every(({ permissions }) => topicRefusal(permissions, "subscribe", topic) !== undefined),
    );
    const wanted = new Map(
      holders
        .flatMap((holder) => wantedBy(holder, leaveOut))
        .map((one) => [`${one.stream ?? ""} ${one.topic}`, one]),
    );
    for (const [key, source] of listed) {
      if (wanted.has(key)) continue;
      source.end();
      listed.delete(key);
    }
    for (const [key, { stream, topic }] of wanted) {
      if (listed.has(key)) continue;
      const source = listed.size < max ? open(world, mailbox, stream, topic) : `more than ${max} are listed`;
      if (typeof source === "string") leaveOut(topic, source);
      else listed.set(key, source);
    }
  }

  /** Tells of it once: grants are told again at every change. */
  function leaveOut(topic: string, reason: string): void {
    const key = `${topic} ${reason}`;
    if (warned.has(key)) return;
    warned.add(key);
    world.warn({ ...recipient, topic, reason }, "a subscription that a grant lists is left out");
  }

  return {
    mailbox,
    get isConfirmed() {
      return life !== undefined;
    },
    subscribe(topic, group) {
      const present = asked.get(topic);
      if (present !== undefined && present.group === group) return;
      if (present === undefined && asked.size >= max) throw tooMany(max);
      // Made before the other one ends, so that nothing is lost between them.
      const source = subscribeMailbox(world, mailbox, topic, queueGroup(recipient, group));
      present?.source.end();
      asked.set(topic, { source, group });
    },
    unsubscribe: (topic) => endAsked((one) => one === topic),
    hold,
    end() {
      clock.clearTimeout(unconfirmed);
      endAsked(() => true);
      for (const source of listed.values()) source.end();
      listed.clear();
    },
  };
}

/** Subscribes to a topic, of a stream where one is given; gives the reason where that cannot be. */
function open(
  world: SubscriberWorld,
  mailbox: Mailbox,
  stream: string | undefined,
  topic: string,
): MessageSource | string {
  const { connection } = world;
  try {
    if (stream === undefined) return subscribeMailbox(world, mailbox, topic, queueGroup(mailbox.recipient));
    if (connection === undefined) return "this provider has no connection to JetStream";
    return consumeStream({ ...world, connection }, mailbox, stream, topic);
  } catch (error) {
    // A bus that is closed; whoever tells of grants must not hear of it.
    return reasonOf(error);
  }
}

/** What a grant lists, as far as its permissions cover it. */
function wantedBy(
  { config, permissions }: GrantHolder,
  leaveOut: (topic: string, reason: string) => void,
): { stream: string | undefined; topic: string }[] {
  const stream = config["durable"];
  const list = config["subscriptions"];
  if (list === undefined && stream === undefined) return [];
  const topics = list === undefined ? subscribableTopics(permissions) : topicsIn(list);
  return topics.flatMap((topic) => {
    const refusal = topicRefusal(permissions, "subscribe", topic);
    if (refusal === undefined) return [{ stream, topic }];
    leaveOut(topic, refusal.message);
    return [];
  });
}

/**
 * The queue group of the copies of a name, of which one gets each message. Of legal ids only, which hold no dot: so
 * no other lattice or name has the same group, and no protocol line can be smuggled in.
 */
function queueGroup({ lattice, name }: Recipient, group?: string): string {
  return group === undefined ? `wasmatrix.${lattice}.${name}` : `wasmatrix.${lattice}.${name}.${group}`;
}

function tooMany(max: number): Failure {
  return new Failure(
    "RESOURCE_EXHAUSTED",
    `messaging: this would exceed subscriptionsPerInstanceMax, ${max}`,
    {
      fix: "Unsubscribe from something, or use a wildcard.",
      details: { limit: "subscriptionsPerInstanceMax", max },
      retry: "later",
    },
  );
}
