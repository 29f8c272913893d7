import type { NatsConnection } from "nats";
import type { Bus } from "../../bus/bus.ts";
import type { Clock } from "../../clock.ts";
import { messagingLimits } from "../../limits.ts";
import { encode } from "../../protocol/codec.ts";
import { Failure } from "../../protocol/errors.ts";
import { assertId } from "../../protocol/ids.ts";
import { reservedTopic } from "../../protocol/scopes.ts";
import type { Capability, CapabilityScope, GrantHolder } from "../capability.ts";
import type { MessagingRequest, Recipient } from "./contract.ts";
import type { Mailbox } from "./mailbox.ts";
import type { MessagingLimits } from "./messaging-limits.ts";
import { encodeAnswer, parseMessagingRequest } from "./parse-request.ts";
import type { SubscriberWorld } from "./subscriber.ts";
import { createSubscribers, type Subscribers } from "./subscribers.ts";
import type { MessagingStats } from "./subscription.ts";
import { topicRefusal } from "./topics.ts";

/** What messaging is made with. */
export interface NatsMessagingOptions {
  /** Whoever made it closes it, after this. */
  readonly bus: Bus;
  /** Where topics are, if that is another connection; whoever made it closes it, after this. */
  readonly topicBus?: Bus;
  readonly lattice: string;
  readonly clock: Clock;
  /** For grants whose configuration names a stream (`durable`); whoever made it closes it, after this. */
  readonly connection?: NatsConnection;
  readonly log?: { warn(details: object, message: string): void };
  /** Told of messages that were lost, at most once a second for each subscription. Must not throw. */
  readonly onDropped?: (recipient: Recipient, topic: string, count: number) => void;
  readonly limits?: MessagingLimits;
}

/** Messaging, and what it has done so far. */
export interface MessagingCapability extends Capability {
  granted(holders: readonly GrantHolder[]): void;
  stats(): MessagingStats;
}

/**
 * The messaging capability on the bus itself: what guests publish is plain NATS, and anybody may hear it. Nothing
 * is durable but what comes from a stream.
 *
 * A grant's configuration may list `subscriptions`, topics with commas between them: its instances get those messages
 * without ever asking, as far as its `msg:subscribe` permissions cover them. With `durable`, the name of a
 * JetStream stream, they come from there, and without `subscriptions` all that the permissions cover does.
 */
export function createNatsMessaging(options: NatsMessagingOptions): MessagingCapability {
  const { bus, topicBus = bus, lattice, clock, limits = messagingLimits } = options;
  assertId(lattice, "lattice");
  const inProgress = new Set<Promise<unknown>>();
  const abort = new AbortController();
  const world = worldOf(options, limits, abort.signal);
  const subscribers = createSubscribers(world, lattice);
  const endStatus = tellRefusals(world);
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    const settled = Promise.allSettled([subscribers.end(), ...inProgress]);
    const timer = clock.setTimeout(() => abort.abort(stopped()), limits.drainMs);
    await settled;
    clock.clearTimeout(timer);
    endStatus();
  }

  return {
    providerType: "messaging",
    async call(scope, operation, payload) {
      if (closing !== undefined) throw stopped();
      if (scope.lattice !== lattice) throw elsewhere(lattice);
      const { request, form } = parseMessagingRequest(operation, payload, limits);
      const performing = perform(world, subscribers, scope, request);
      inProgress.add(performing);
      try {
        const body = await performing;
        return body === undefined ? encode({}, form) : encodeAnswer(body, form);
      } finally {
        inProgress.delete(performing);
      }
    },
    async check() {
      if (closing !== undefined) throw stopped();
      await topicBus.flush(limits.subscribeTimeoutMs);
    },
    granted(holders) {
      if (closing === undefined) subscribers.granted(holders);
    },
    stats: () => ({ ...world.stats }),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** The answer to a `request`, and nothing for the others. */
async function perform(
  { topicBus, limits, abort }: SubscriberWorld,
  subscribers: Subscribers,
  scope: CapabilityScope,
  request: MessagingRequest,
): Promise<Uint8Array | undefined> {
  switch (request.operation) {
    case "publish": {
      const { topic, body, replyTo, headers } = request;
      const mailbox = subscribers.find(scope.instanceId)?.mailbox;
      assertMayPublish(scope, mailbox, topic, "topic");
      if (replyTo !== undefined) assertMayPublish(scope, mailbox, replyTo, "replyTo");
      topicBus.publish(topic, body, {
        ...(replyTo === undefined ? {} : { replyTo }),
        ...(headers === undefined ? {} : { headers }),
      });
      return undefined;
    }
    case "request": {
      const { topic, body, timeoutMs } = request;
      assertMayPublish(scope, undefined, topic, "topic");
      return (await topicBus.request(topic, body, { timeoutMs, signal: abort })).data;
    }
    case "subscribe": {
      const refusal = topicRefusal(scope.permissions, "subscribe", request.topic);
      if (refusal !== undefined) throw refusal;
      // A fact of the same turn, of a new life or of a lost grant, must not end what is asked for after it.
      await Promise.resolve();
      if (subscribers.hasEnded) throw stopped();
      subscribers.of(recipientOf(scope)).subscribe(request.topic, request.group);
      // Until the server has it, whoever is told that the guest listens could publish in vain.
      await topicBus.flush(limits.subscribeTimeoutMs);
      return undefined;
    }
    case "unsubscribe":
      subscribers.find(scope.instanceId)?.unsubscribe(request.topic);
      return undefined;
  }
}

/** A subscription that the server does not allow is told nowhere else; the function returned ends that. */
function tellRefusals({ topicBus, warn }: SubscriberWorld): () => void {
  return topicBus.onStatus((status) => {
    if (status.type !== "refused" || status.operation !== "subscribe") return;
    // Other subscriptions of this connection are not on topics.
    if (reservedTopic(status.subject) !== undefined) return;
    warn({ topic: status.subject }, "the server refuses to let this provider subscribe");
  });
}

function worldOf(
  { bus, topicBus = bus, clock, connection, log, onDropped }: NatsMessagingOptions,
  limits: MessagingLimits,
  abort: AbortSignal,
): SubscriberWorld {
  return {
    bus,
    topicBus,
    clock,
    limits,
    abort,
    connection,
    queued: { total: 0 },
    stats: { subscriptions: 0, delivered: 0, failed: 0, dropped: 0 },
    warn: (details, message) => log?.warn(details, message),
    tellDropped({ recipient }, topic, count, reason) {
      log?.warn({ ...recipient, topic, count, reason }, "messages for an instance were dropped");
      onDropped?.(recipient, topic, count);
    },
    tellFailed({ recipient }, topic, count, reason) {
      log?.warn({ ...recipient, topic, count, reason }, "an instance failed on messages");
    },
  };
}

/** The reply subject of a message that the guest is handling was given to it by whoever waits for the answer. */
function assertMayPublish(
  scope: CapabilityScope,
  mailbox: Mailbox | undefined,
  topic: string,
  field: string,
): void {
  if (mailbox?.isReplySubject(topic) === true) return;
  const refusal = topicRefusal(scope.permissions, "publish", topic, field);
  if (refusal !== undefined) throw refusal;
}

function recipientOf({ lattice, instanceId, name }: CapabilityScope): Recipient {
  // They become parts of subjects and queue names.
  assertId(instanceId, "instanceId");
  assertId(name, "name");
  return { lattice, instanceId, name };
}

function stopped(): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", "this messaging provider is closed", {
    fix: "Start the messaging provider again, or assign another one.",
  });
}

function elsewhere(lattice: string): Failure {
  return new Failure("INVALID_REQUEST", `this messaging provider serves the lattice ${lattice} alone`, {
    fix: "Assign a provider of the instance's own lattice.",
  });
}
