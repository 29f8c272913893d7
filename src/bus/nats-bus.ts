import type { Msg, Subscription as ClientSubscription } from "nats";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import { busLimits } from "../limits.ts";
import type { Bus, BusMessage, BusStatus, Subscription } from "./bus.ts";
import { settledWithin, within } from "./deadline.ts";
import { alreadyClosed, closedWhilePending, connectionLost, notConnected } from "./failures.ts";
import { refusedByServer, timedOut } from "./failures.ts";
import { checkFilter, checkInboxPrefix, checkQueue, checkSubject } from "./names.ts";
import type { NatsClient, NatsOptions } from "./nats-client.ts";
import { connectClient, inboxPrefixFor } from "./nats-client.ts";
import type { Answering } from "./nats-message.ts";
import { NatsMessage } from "./nats-message.ts";
import type { Outbound } from "./nats-outbound.ts";
import { createOutbound } from "./nats-outbound.ts";
import { watchClient } from "./nats-watch.ts";
import type { Requester } from "./requester.ts";
import { createRequester } from "./requester.ts";
import type { StatusFeed } from "./status-feed.ts";
import { createStatusFeed } from "./status-feed.ts";

/** Where and as whom to connect; plain data, so that it can be posted to a thread. */
export type BusOptions = NatsOptions;

/** What `connectNats` takes besides: the first listener, which alone hears of `connected`, and time. */
export interface BusSurroundings {
  readonly onStatus?: (status: BusStatus) => void;
  readonly clock?: Clock;
}

/**
 * Connects to NATS and keeps the connection until the bus is closed. Rejects with a `Failure`:
 * COMMUNICATION_FAILURE when no server is reached in time or the credentials are refused, INVALID_REQUEST.
 */
export async function connectNats(options: BusOptions & BusSurroundings): Promise<Bus> {
  const { onStatus, clock = systemClock } = options;
  const inboxPrefix = inboxPrefixFor(options);
  if (inboxPrefix !== undefined) checkInboxPrefix(inboxPrefix);
  return busOn(await connectClient(options, clock), inboxPrefix, clock, onStatus);
}

/** The port on a client that is connected already, and that its `close` closes: for what needs the client as well. */
export function busOn(
  client: NatsClient,
  inboxPrefix: string | undefined,
  clock: Clock,
  onStatus?: BusSurroundings["onStatus"],
): Bus {
  return createNatsBus({
    client,
    clock,
    inboxPrefix,
    outbound: createOutbound(client),
    feed: createStatusFeed(onStatus),
  });
}

interface Parts {
  readonly client: NatsClient;
  readonly clock: Clock;
  readonly inboxPrefix: string | undefined;
  readonly outbound: Outbound;
  readonly feed: StatusFeed;
}

function createNatsBus(parts: Parts): Bus {
  const { client, clock, outbound, feed } = parts;
  let open = true;
  let closing: Promise<void> | undefined;

  const requester = createRequester({
    clock,
    inboxPrefix: parts.inboxPrefix,
    send(subject, data, replyTo, headers) {
      if (!open) throw alreadyClosed(subject);
      outbound.send(subject, data, replyTo, headers);
    },
    listen: (filter, onReply) => void subscribeClient(parts, filter, undefined, onReply),
  });
  const onClosed = announceClosed(requester, feed);
  watchClient(client, clock, {
    lost() {
      requester.failAll(connectionLost);
      feed.emit({ type: "disconnected" });
    },
    back(server) {
      outbound.learnLimits();
      feed.emit({ type: "reconnected", server });
    },
    unauthorized: (reason) => feed.emit({ type: "unauthorized", reason }),
    refused(operation, subject) {
      requester.refused(operation, subject, () => refusedByServer(operation, subject));
      feed.emit({ type: "refused", operation, subject });
    },
    closed: onClosed,
  });
  feed.emit({ type: "connected", server: client.getServer() });

  return {
    get maxPayloadBytes() {
      return outbound.maxPayloadBytes;
    },
    get connected() {
      return open && client.protocol.connected;
    },
    publish(subject, data, { replyTo, headers } = {}) {
      if (replyTo !== undefined) checkSubject(replyTo);
      outbound.send(subject, data, replyTo, headers);
    },
    subscribe(filter, onMessage, { queue } = {}) {
      checkFilter(filter);
      if (queue !== undefined) checkQueue(queue);
      if (!open) throw alreadyClosed(filter);
      return subscriptionOf(subscribeClient(parts, filter, queue, onMessage), clock);
    },
    request: (subject, data, options) => requester.request(subject, data, options),
    onSlow: (listener) => requester.onSlow(listener),
    giveUp: (token, failure) => requester.giveUp(token, failure),
    async flush(timeoutMs = busLimits.flushTimeoutMsDefault) {
      if (!client.protocol.connected)
        throw client.isClosed() ? alreadyClosed("flush") : notConnected("flush");
      const flushed = client.flush().catch(() => {
        throw connectionLost("flush");
      });
      await within(clock, timeoutMs, flushed, () => timedOut("flush", timeoutMs));
    },
    onStatus: (listener) => feed.listen(listener),
    close() {
      open = false;
      requester.failAll(closedWhilePending);
      closing ??= closeClient(client, clock).then(() => onClosed(undefined));
      return closing;
    },
  };
}

function subscribeClient(
  { client, outbound, feed }: Parts,
  filter: string,
  queue: string | undefined,
  onMessage: (message: BusMessage) => void,
): ClientSubscription {
  const answering: Answering = {
    answer: outbound.answer,
    refuse: (replyTo) => feed.emit({ type: "refused", operation: "publish", subject: replyTo }),
  };
  return client.subscribe(filter, {
    ...(queue === undefined ? {} : { queue }),
    callback(refusal: Error | null, raw: Msg) {
      // A refusal is told by the statuses.
      if (refusal !== null) return;
      // What escapes from here ends the read loop of the whole connection, without a word.
      try {
        onMessage(new NatsMessage(raw, answering));
      } catch (error) {
        feed.emit({ type: "callback-failed", subject: raw.subject, error });
      }
    },
  });
}

function subscriptionOf(subscription: ClientSubscription, clock: Clock): Subscription {
  return {
    unsubscribe: () => subscription.unsubscribe(),
    async drain() {
      if (subscription.isClosed()) return;
      await settledWithin(clock, busLimits.drainTimeoutMs, subscription.drain());
      // One whose drain took too long would otherwise deliver again after a reconnect.
      subscription.unsubscribe();
    },
  };
}

/** The client's own drain and close never settle when the server is gone at the wrong moment. */
async function closeClient(client: NatsClient, clock: Clock): Promise<void> {
  if (client.isClosed()) return;
  if (client.protocol.connected) await settledWithin(clock, busLimits.drainTimeoutMs, client.drain());
  await settledWithin(clock, busLimits.closeTimeoutMs, client.close());
  // The client leaves alone a socket that is still connecting or waits for the server's greeting.
  client.protocol.transport.discard();
}

/** The end is told once, whether it was asked for or not. */
function announceClosed(requester: Requester, feed: StatusFeed): (reason: string | undefined) => void {
  let announced = false;
  return (reason) => {
    if (announced) return;
    announced = true;
    requester.failAll(closedWhilePending);
    feed.emit(reason === undefined ? { type: "closed" } : { type: "closed", reason });
  };
}
