import type { Bus, BusMessage, BusStatus, PublishOptions } from "../../src/bus/bus.ts";
import { alreadyClosed, closedWhilePending, connectionLost, notConnected } from "../../src/bus/failures.ts";
import { payloadTooLarge, refusedByServer } from "../../src/bus/failures.ts";
import {
  checkFilter,
  checkHeaders,
  checkInboxPrefix,
  checkQueue,
  checkSubject,
} from "../../src/bus/names.ts";
import { createRequester } from "../../src/bus/requester.ts";
import { createStatusFeed } from "../../src/bus/status-feed.ts";
import type { Clock } from "../../src/clock.ts";
import { systemClock } from "../../src/clock.ts";
import { memoryMessage } from "./memory-message.ts";
import { createMemoryRouter, type Listener, type MemoryRouter, type Sent } from "./memory-router.ts";
import { subjectMatches } from "./subject-matches.ts";

/** What one connection to a memory server is and may do; denials are filters. */
export interface MemoryConnectOptions {
  readonly inboxPrefix?: string;
  readonly onStatus?: (status: BusStatus) => void;
  readonly denyPublish?: readonly string[];
  readonly denySubscribe?: readonly string[];
}

/** A bus in one process, without sockets: what a nats-server is to those who use the port. */
export interface MemoryServer {
  connect(options?: MemoryConnectOptions): Bus;
  /** Takes that bus off the network, as a lost connection does; without one, all. */
  disconnect(bus?: Bus): void;
  /** Brings it back with its subscriptions; what was published in between is lost to it. */
  reconnect(bus?: Bus): void;
}

/** How a memory server keeps time, which only requests need, and what it carries. */
export interface MemoryServerOptions {
  readonly clock?: Clock;
  readonly maxPayloadBytes?: number;
}

interface Server {
  readonly router: MemoryRouter;
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
}

interface Connection {
  readonly bus: Bus;
  readonly lose: () => void;
  readonly regain: () => void;
}

/** Starts a server. Messages are delivered one per microtask, in the order in which they were published. */
export function startMemoryServer(options: MemoryServerOptions = {}): MemoryServer {
  const { clock = systemClock, maxPayloadBytes = 1_048_576 } = options;
  const server = { router: createMemoryRouter(), clock, maxPayloadBytes };
  const connections: Connection[] = [];
  const those = (bus: Bus | undefined) => connections.filter((one) => bus === undefined || one.bus === bus);
  return {
    connect(rights = {}) {
      const connection = createConnection(server, rights);
      connections.push(connection);
      return connection.bus;
    },
    disconnect: (bus) => those(bus).forEach((connection) => connection.lose()),
    reconnect: (bus) => those(bus).forEach((connection) => connection.regain()),
  };
}

function createConnection(
  { router, clock, maxPayloadBytes }: Server,
  rights: MemoryConnectOptions,
): Connection {
  if (rights.inboxPrefix !== undefined) checkInboxPrefix(rights.inboxPrefix);
  const feed = createStatusFeed(rights.onStatus);
  const own = new Set<Listener>();
  let up = true;
  let open = true;
  let closing: Promise<void> | undefined;

  function refuse(operation: "publish" | "subscribe", subject: string): void {
    requester.refused(operation, subject, () => refusedByServer(operation, subject));
    feed.emit({ type: "refused", operation, subject });
  }

  function transmit(subject: string, data: Uint8Array, { replyTo, headers }: PublishOptions): void {
    const bytes = data.length + (headers === undefined ? 0 : checkHeaders(headers));
    if (bytes > maxPayloadBytes) throw payloadTooLarge(subject, bytes, maxPayloadBytes);
    const sent = { subject, data: new Uint8Array(data), replyTo, headers: headers ?? {} };
    router.enqueue(() => {
      if (isDenied(rights.denyPublish, subject)) refuse("publish", subject);
      else router.route(sent);
    });
  }

  function send(subject: string, data: Uint8Array, options: PublishOptions): void {
    checkSubject(subject);
    assertReachable(subject);
    transmit(subject, data, options);
  }

  function assertReachable(subject: string): void {
    if (!up) throw open ? notConnected(subject) : alreadyClosed(subject);
  }

  function deliver(sent: Sent, onMessage: (message: BusMessage) => void): void {
    const answer: BusMessage["respond"] = (data, headers) => {
      if (up) transmit(sent.replyTo ?? "", data, headers === undefined ? {} : { headers });
    };
    try {
      onMessage(memoryMessage(sent, answer, () => refuse("publish", sent.replyTo ?? "")));
    } catch (error) {
      feed.emit({ type: "callback-failed", subject: sent.subject, error });
    }
  }

  function listen(
    filter: string,
    onMessage: (message: BusMessage) => void,
    queue: string | undefined,
  ): Listener {
    const listener = {
      filter,
      queue,
      reachable: () => up,
      deliver: (sent: Sent) => deliver(sent, onMessage),
    };
    if (isDenied(rights.denySubscribe, filter)) router.enqueue(() => refuse("subscribe", filter));
    else router.listeners.add(listener);
    own.add(listener);
    return listener;
  }

  function forget(listener: Listener): void {
    own.delete(listener);
    router.listeners.delete(listener);
  }

  /** Calls `then` right after the deliveries of every message that was published before. */
  function settled(then: () => void = () => {}): Promise<void> {
    return new Promise((resolve) => {
      router.enqueue(() =>
        router.enqueue(() => {
          then();
          resolve();
        }),
      );
    });
  }

  async function close(): Promise<void> {
    open = false;
    requester.failAll(closedWhilePending);
    if (up) await settled();
    up = false;
    for (const listener of own) forget(listener);
    feed.emit({ type: "closed" });
  }

  const requester = createRequester({
    clock,
    inboxPrefix: rights.inboxPrefix,
    send(subject, data, replyTo, headers) {
      if (!open) throw alreadyClosed(subject);
      send(subject, data, { replyTo, ...(headers === undefined ? {} : { headers }) });
    },
    listen: (filter, onReply) => void listen(filter, onReply, undefined),
  });

  const bus: Bus = {
    maxPayloadBytes,
    get connected() {
      return open && up;
    },
    publish(subject, data, options = {}) {
      if (options.replyTo !== undefined) checkSubject(options.replyTo);
      send(subject, data, options);
    },
    subscribe(filter, onMessage, { queue } = {}) {
      checkFilter(filter);
      if (queue !== undefined) checkQueue(queue);
      if (!open) throw alreadyClosed(filter);
      const listener = listen(filter, onMessage, queue);
      return {
        unsubscribe: () => forget(listener),
        drain: () => settled(() => forget(listener)),
      };
    },
    request: (subject, data, options) => requester.request(subject, data, options),
    onSlow: (listener) => requester.onSlow(listener),
    giveUp: (token, failure) => requester.giveUp(token, failure),
    async flush() {
      assertReachable("flush");
      await settled();
    },
    onStatus: (listener) => feed.listen(listener),
    close() {
      closing ??= close();
      return closing;
    },
  };
  feed.emit({ type: "connected", server: "memory" });

  return {
    bus,
    lose() {
      if (!open || !up) return;
      up = false;
      requester.failAll(connectionLost);
      feed.emit({ type: "disconnected" });
    },
    regain() {
      if (!open || up) return;
      up = true;
      feed.emit({ type: "reconnected", server: "memory" });
    },
  };
}

function isDenied(filters: readonly string[] | undefined, subject: string): boolean {
  return filters?.some((filter) => subjectMatches(filter, subject)) ?? false;
}
