import type { Chance } from "../../src/chance.ts";
import type { EventQueue } from "./event-queue.ts";
import type { SimulatedProcess } from "./simulated-process.ts";
import { createSubscriptionIndex, type SubscriptionIndex } from "./subscription-index.ts";

/** A message on the simulated bus. `said` is what a fact says, for those who look on. */
export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly replyTo: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly said?: unknown;
}

/** A machine's way to its server, shared by all connections of the process there. */
export interface Host {
  readonly id: string;
  readonly site: number;
  process: SimulatedProcess;
  cutUp: boolean;
  cutDown: boolean;
  /** Everything that it is sent takes that much longer. */
  slowMs: number;
  /** The connections of its process, the main one first. */
  readonly ends: Set<ConnectionEnds>;
}

/** Both ends of a connection. */
export interface ConnectionEnds {
  readonly connection: Connection;
  /** The process learns that its connection is gone. */
  lose(): void;
  /** It is there again, with its subscriptions. */
  regain(): void;
  /** The server forgets it; what was under way is lost. */
  drop(): void;
}

/** One connection as its server knows it. */
export interface Connection {
  readonly host: Host;
  /** Whether the server still has it; its own end may learn of the loss later. */
  atServer: boolean;
  /** Counts its lives: what was under way on a former one is lost. */
  life: number;
  lastUp: number;
  lastDown: number;
  heldUp: (() => void)[];
  heldDown: (() => void)[];
}

/** A subscription of a connection. */
export interface Listener {
  readonly filter: string;
  readonly queue: string | undefined;
  readonly connection: Connection;
  readonly deliver: (message: Message) => void;
}

/** What becomes of one message on its last way: not at all, or late by so much, once or more; or something else comes. */
export interface Fate {
  readonly lateMs: readonly number[];
  readonly message?: Message;
}

/** Servers, one per site, and the ways between them. */
export interface SimulatedNetwork {
  readonly queue: EventQueue;
  readonly index: SubscriptionIndex<Listener>;
  readonly hosts: Map<string, Host>;
  /** Pairs `from-to` of sites between which nothing passes, and since when. */
  readonly brokenRoutes: Map<string, number>;
  /** Until when a site's server is frozen. */
  readonly frozen: Map<number, number>;
  /** Decides about disturbed messages; undefined leaves a message alone. */
  disturb: ((from: Host, to: Host, message: Message) => Fate | undefined) | undefined;
  /** When the last message comes that was delayed. */
  lateUntil: number;
  /** Told of each message that is handed to a process. */
  onDelivery: (to: Host, message: Message) => void;
  /** Something a connection hands to its server, in order. */
  up(connection: Connection, arrive: () => void): void;
  /** Something a server hands to a connection, in order. */
  down(connection: Connection, arrive: () => void, fate?: number): void;
  route(from: Connection, message: Message): void;
}

/** Remote interest is known until the route's own pings fail. */
const routeNoticeMs = 2_400;

/** What a frozen server held comes so late at most, and out of order. */
const thawSpreadMs = 7_000;

/** A network without hosts; every choice it makes is `chance`'s. */
export function createNetwork(queue: EventQueue, chance: Chance): SimulatedNetwork {
  const index = createSubscriptionIndex<Listener>();
  const latency = () => 0.1 + chance() * 1.4;

  function up(connection: Connection, arrive: () => void): void {
    const { life, host } = connection;
    // Given up by its server, which it does not know yet.
    if (!connection.atServer) return;
    const at = Math.max(queue.now + latency(), connection.lastUp);
    connection.lastUp = at;
    const land = () => {
      if (connection.life !== life) return;
      if (host.cutUp) connection.heldUp.push(land);
      else arrive();
    };
    queue.at(at, land);
  }

  function down(connection: Connection, arrive: () => void, extraMs = -1): void {
    const { life, host } = connection;
    const soonest = queue.now + latency() + host.slowMs;
    const at = extraMs < 0 ? Math.max(soonest, connection.lastDown) : soonest + extraMs;
    // What is late does not hold up the rest: that is what makes messages overtake each other.
    if (extraMs < 0) connection.lastDown = at;
    else network.lateUntil = Math.max(network.lateUntil, at);
    const land = () => {
      if (connection.life !== life) return;
      if (host.cutDown) connection.heldDown.push(land);
      else host.process.run(arrive);
    };
    queue.at(at, land);
  }

  function isBroken(from: number, to: number): boolean {
    return from !== to && network.brokenRoutes.has(`${from}-${to}`);
  }

  function hasInterest(from: number, to: number): boolean {
    const since = network.brokenRoutes.get(`${to}-${from}`) ?? network.brokenRoutes.get(`${from}-${to}`);
    return from === to || since === undefined || queue.now - since < routeNoticeMs;
  }

  function receiversOf(from: Connection, subject: string): Listener[] {
    const { site } = from.host;
    const receivers: Listener[] = [];
    const groups = new Map<string, Listener[]>();
    for (const listener of index.matching(subject)) {
      if (!hasInterest(site, listener.connection.host.site)) continue;
      if (listener.queue === undefined) {
        receivers.push(listener);
        continue;
      }
      const group = groups.get(`${listener.filter} ${listener.queue}`) ?? [];
      groups.set(`${listener.filter} ${listener.queue}`, group);
      group.push(listener);
    }
    for (const members of groups.values()) {
      const near = members.filter(({ connection }) => connection.host.site === site);
      const some = near.length > 0 ? near : members;
      receivers.push(some[Math.floor(chance() * some.length)] as Listener);
    }
    return receivers;
  }

  function deliver(listener: Listener, message: Message, extraMs?: number): void {
    const { connection } = listener;
    down(
      connection,
      () => {
        network.onDelivery(connection.host, message);
        listener.deliver(message);
      },
      extraMs,
    );
  }

  function route(from: Connection, message: Message): void {
    const { site } = from.host;
    const thaw = network.frozen.get(site) ?? 0;
    if (thaw > queue.now) {
      const at = thaw + chance() * thawSpreadMs;
      network.lateUntil = Math.max(network.lateUntil, at);
      queue.at(at, () => route(from, message));
      return;
    }
    const receivers = receiversOf(from, message.subject);
    for (const listener of receivers) {
      const { host } = listener.connection;
      if (isBroken(site, host.site)) continue;
      const fate = network.disturb?.(from.host, host, message);
      if (fate === undefined) deliver(listener, message);
      else for (const lateMs of fate.lateMs) deliver(listener, fate.message ?? message, lateMs);
    }
    if (receivers.length > 0 || message.replyTo === undefined) return;
    const nobody: Message = {
      subject: message.replyTo,
      data: new Uint8Array(0),
      replyTo: undefined,
      headers: { Status: "503" },
    };
    for (const listener of index.matching(message.replyTo)) deliver(listener, nobody);
  }

  const network: SimulatedNetwork = {
    queue,
    index,
    hosts: new Map(),
    brokenRoutes: new Map(),
    frozen: new Map(),
    disturb: undefined,
    lateUntil: 0,
    onDelivery: () => {},
    up,
    down,
    route,
  };
  return network;
}
