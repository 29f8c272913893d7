import type { Bus, BusMessage, PublishOptions } from "../../src/bus/bus.ts";
import { alreadyClosed, closedWhilePending, connectionLost, notConnected } from "../../src/bus/failures.ts";
import { payloadTooLarge, timedOut } from "../../src/bus/failures.ts";
import { checkFilter, checkHeaders, checkQueue, checkSubject } from "../../src/bus/names.ts";
import { createRequester } from "../../src/bus/requester.ts";
import { createStatusFeed } from "../../src/bus/status-feed.ts";
import { memoryMessage } from "../support/memory-message.ts";
import type {
  Connection,
  ConnectionEnds,
  Host,
  Listener,
  Message,
  SimulatedNetwork,
} from "./simulated-network.ts";

/** A connection of a process to the simulated bus, and the two ends of its fate. */
export interface SimulatedBus extends ConnectionEnds {
  readonly bus: Bus;
  /** Hands it a request that no network carries, and resolves with the answer: for those who look on. */
  askDirectly(filter: string, data: Uint8Array): Promise<Uint8Array>;
}

/**
 * Told of each message as it is published, also of one that goes nowhere, with the subject of the question where it is an answer;
 * returns what it says where somebody follows that.
 */
export type Witness = (
  host: Host,
  subject: string,
  data: Uint8Array,
  isSent: boolean,
  asked: string | undefined,
) => unknown;

const maxPayloadBytes = 1_048_576;

/** Connects a process: a `Bus` like that of a nats-server, in simulated time. */
export function connectSimulated(network: SimulatedNetwork, host: Host, witness: Witness): SimulatedBus {
  const { process } = host;
  const { clock } = process;
  const feed = createStatusFeed();
  const own = new Set<Listener>();
  let isUp = true;
  let isOpen = true;
  const connection: Connection = {
    host,
    atServer: true,
    life: 0,
    lastUp: 0,
    lastDown: 0,
    heldUp: [],
    heldDown: [],
  };

  function transmit(
    subject: string,
    data: Uint8Array,
    { replyTo, headers }: PublishOptions,
    asked?: string,
  ): void {
    const bytes = data.length + (headers === undefined ? 0 : checkHeaders(headers));
    if (bytes > maxPayloadBytes) throw payloadTooLarge(subject, bytes, maxPayloadBytes);
    const said = witness(host, subject, data, isUp && connection.atServer, asked);
    if (!isUp) throw isOpen ? notConnected(subject) : alreadyClosed(subject);
    const message: Message = { subject, data, replyTo, headers: headers ?? {}, said };
    network.up(connection, () => network.route(connection, message));
  }

  function hear(message: Message, onMessage: (message: BusMessage) => void): void {
    const answer: BusMessage["respond"] = (data, headers) => {
      if (isUp && process.isAlive)
        transmit(message.replyTo ?? "", data, headers === undefined ? {} : { headers }, message.subject);
    };
    try {
      const respond = "answer" in message ? (message as Asked).answer : answer;
      onMessage(memoryMessage(message, respond, () => undefined));
    } catch (error) {
      feed.emit({ type: "callback-failed", subject: message.subject, error });
    }
  }

  function listen(filter: string, onMessage: (message: BusMessage) => void, queue: string | undefined) {
    const listener: Listener = {
      filter,
      queue,
      connection,
      deliver: (message) => {
        if (own.has(listener)) hear(message, onMessage);
      },
    };
    own.add(listener);
    // Without a connection it goes along with the others when that is back.
    if (isUp) network.up(connection, () => own.has(listener) && network.index.add(listener));
    return listener;
  }

  function forgetAtServer(listener: Listener): void {
    network.up(connection, () => network.index.remove(listener));
  }

  /** Resolves when everything that was sent before has arrived, and what came of it at the server is here. */
  function roundTrip(): Promise<void> {
    return new Promise((resolve) => {
      network.up(connection, () => network.down(connection, resolve));
    });
  }

  function within(work: Promise<void>, ms: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => reject(timedOut(what, ms)), ms);
      const end = () => {
        clock.clearTimeout(timer);
        resolve();
      };
      work.then(end, end);
    });
  }

  const requester = createRequester({
    clock,
    inboxPrefix: undefined,
    send(subject, data, replyTo, headers) {
      if (!isOpen) throw alreadyClosed(subject);
      checkSubject(subject);
      transmit(subject, data, { replyTo, ...(headers === undefined ? {} : { headers }) });
    },
    listen: (filter, onReply) => void listen(filter, onReply, undefined),
  });

  function forgetConnection(): void {
    connection.life += 1;
    connection.atServer = false;
    connection.heldUp = [];
    connection.heldDown = [];
    connection.lastUp = 0;
    connection.lastDown = 0;
    for (const listener of own) network.index.remove(listener);
  }

  async function close(): Promise<void> {
    isOpen = false;
    requester.failAll(closedWhilePending);
    if (isUp) await within(roundTrip(), 2_000, "close").catch(() => undefined);
    isUp = false;
    forgetConnection();
    own.clear();
    host.ends.delete(simulated);
    feed.emit({ type: "closed" });
  }

  let closing: Promise<void> | undefined;
  const bus: Bus = {
    maxPayloadBytes,
    get connected() {
      return isOpen && isUp;
    },
    publish(subject, data, options = {}) {
      checkSubject(subject);
      if (options.replyTo !== undefined) checkSubject(options.replyTo);
      transmit(subject, data, options);
    },
    subscribe(filter, onMessage, { queue } = {}) {
      checkFilter(filter);
      if (queue !== undefined) checkQueue(queue);
      if (!isOpen) throw alreadyClosed(filter);
      const listener = listen(filter, onMessage, queue);
      const forget = () => {
        own.delete(listener);
        network.index.remove(listener);
      };
      return {
        unsubscribe() {
          own.delete(listener);
          if (isUp) forgetAtServer(listener);
        },
        async drain() {
          if (isUp) {
            forgetAtServer(listener);
            await within(roundTrip(), 2_000, "drain").catch(() => undefined);
          }
          forget();
        },
      };
    },
    request: (subject, data, options) => requester.request(subject, data, options),
    onSlow: (listener) => requester.onSlow(listener),
    giveUp: (token, failure) => requester.giveUp(token, failure),
    async flush(timeoutMs = 5_000) {
      if (!isUp) throw isOpen ? notConnected("flush") : alreadyClosed("flush");
      await within(roundTrip(), timeoutMs, "flush");
    },
    onStatus: (listener) => feed.listen(listener),
    close() {
      closing ??= close();
      return closing;
    },
  };

  const simulated: SimulatedBus = {
    bus,
    connection,
    lose() {
      if (!isOpen || !isUp) return;
      isUp = false;
      requester.failAll(connectionLost);
      feed.emit({ type: "disconnected" });
    },
    regain() {
      if (!isOpen || isUp) return;
      isUp = true;
      connection.atServer = true;
      for (const listener of own) network.index.add(listener);
      feed.emit({ type: "reconnected", server: "simulated" });
    },
    drop: forgetConnection,
    askDirectly(filter, data) {
      const listener = [...own].find((one) => one.filter === filter);
      if (listener === undefined) return Promise.reject(new Error(`nobody listens on ${filter} there`));
      return new Promise((resolve) => {
        const asked: Asked = {
          subject: filter,
          data,
          replyTo: "_INBOX.direct.1",
          headers: {},
          answer: resolve,
        };
        process.run(() => listener.deliver(asked));
      });
    },
  };
  host.ends.add(simulated);
  return simulated;
}

interface Asked extends Message {
  readonly answer: (data: Uint8Array) => void;
}
