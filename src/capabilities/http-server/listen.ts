import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer } from "node:net";
import { type Clock, delay } from "../../clock.ts";
import { Failure } from "../../protocol/errors.ts";
import { cutOff } from "./cut-off.ts";
import type { HttpServerLimits } from "./http-server-limits.ts";

/** Where to listen. */
export interface ListenOptions {
  readonly host: string;
  /** 0 is any that is free. */
  readonly port: number;
  /**
   * Several may have the port at a time. In one process the newest gets all requests, also those on connections that
   * are there already; processes share new connections, as Linux deals them out (SO_REUSEPORT).
   */
  readonly reusePort: boolean;
  readonly limits: HttpServerLimits;
}

/** Where it listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** One who listens. */
export interface Listening {
  readonly address: ListenAddress;
  /** Whether connections end: an answer that begins now must say that it is the last of its connection. */
  readonly isEnding: boolean;
  /**
   * Gets no more requests if another of this process has the address as well. Otherwise there are no new connections
   * from now on, and those that are there end: idle ones after a moment in which a request that is on its way arrives.
   * What is in progress is waited for, and cut off after `drainMs`.
   */
  close(inProgress: ReadonlySet<ServerResponse>): Promise<void>;
}

/** Gets the requests of an address. */
export interface Listener {
  /** `mustContinue` where the client waits to be told that it may send the body. */
  onRequest(request: IncomingMessage, response: ServerResponse, mustContinue: boolean): void;
  onError(error: Error): void;
}

/** A socket that listens, and who does; the last one gets the requests. */
interface Shared {
  readonly server: Server;
  readonly listeners: Listener[];
  isEnding: boolean;
}

/**
 * Addresses that a newer listener of this process may take over. It takes the very socket: of two sockets with one port,
 * the one that closes resets the connections that the kernel gave it and nobody accepted yet (measured: 8 of 8 clients
 * that came at that moment).
 */
const takeable = new Map<string, Shared>();

/** Listens, within the limits of whoever was there first. Rejects with PROVIDER_UNAVAILABLE where the address cannot be had. */
export async function listen(clock: Clock, options: ListenOptions, listener: Listener): Promise<Listening> {
  const { host, port, reusePort, limits } = options;
  const there = reusePort ? takeable.get(`${host} ${port}`) : undefined;
  const shared = there ?? (await openShared(options));
  shared.listeners.push(listener);
  const { address, port: boundPort } = shared.server.address() as AddressInfo;
  const key = `${host} ${boundPort}`;
  if (reusePort && !takeable.has(key)) takeable.set(key, shared);
  return {
    address: { host: address, port: boundPort },
    get isEnding() {
      return shared.isEnding;
    },
    async close(inProgress) {
      const isLast = shared.listeners.length === 1;
      const untilMs = clock.now() + limits.drainMs;
      if (isLast) {
        shared.isEnding = true;
        if (takeable.get(key) === shared) takeable.delete(key);
        return endConnections(shared.server, clock, limits, inProgress, untilMs);
      }
      shared.listeners.splice(shared.listeners.indexOf(listener), 1);
      while (inProgress.size > 0 && clock.now() < untilMs) await delay(clock, limits.drainLookMs);
      for (const response of inProgress) cutOff(response);
    },
  };
}

async function openShared(options: ListenOptions): Promise<Shared> {
  const { limits } = options;
  const server = createServer({
    maxHeaderSize: limits.headBytesMax,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.connectionLookMs,
    keepAliveTimeout: limits.keepAliveMs,
    insecureHTTPParser: false,
    noDelay: true,
  });
  // One more than is allowed, for Node leaves out what is beyond without a word.
  server.maxHeadersCount = limits.headersMax + 1;
  server.maxConnections = limits.connectionsMax;
  server.timeout = limits.idleMs;
  const shared: Shared = { server, listeners: [], isEnding: false };
  server.on("request", (request, response) => shared.listeners.at(-1)?.onRequest(request, response, false));
  server.on("checkContinue", (request, response) =>
    shared.listeners.at(-1)?.onRequest(request, response, true),
  );
  await opened(server, options);
  server.on("error", (error) => shared.listeners.at(-1)?.onError(error));
  return shared;
}

async function opened(server: Server, { host, port, reusePort }: ListenOptions): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, reusePort }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (error) {
    const { code = "unknown" } = error as NodeJS.ErrnoException;
    throw new Failure("PROVIDER_UNAVAILABLE", `cannot listen on ${host} port ${port}: ${code}`, {
      fix: code === "EADDRINUSE" ? "Choose another port, or end what has it." : "Choose another address.",
      details: { host, port, reason: code },
      cause: error,
    });
  }
}

async function endConnections(
  server: Server,
  clock: Clock,
  limits: HttpServerLimits,
  inProgress: ReadonlySet<ServerResponse>,
  untilMs: number,
): Promise<void> {
  // After this turn's connections were accepted: those that still wait for it would be reset.
  await new Promise<void>((resolve) => void setImmediate(resolve));
  const over = new AbortController();
  // Not the http server's own close: it ends idle sockets at once, also those on which a request is on its way.
  const closed = new Promise<void>((resolve) => {
    NetServer.prototype.close.call(server, () => {
      over.abort(new Error("closed"));
      resolve();
    });
  });
  const wait = (ms: number) => delay(clock, ms, over.signal).catch(() => undefined);
  await wait(limits.lingerMs);
  server.closeIdleConnections();
  while (!over.signal.aborted && inProgress.size > 0 && clock.now() < untilMs) {
    await wait(limits.drainLookMs);
    server.closeIdleConnections();
  }
  server.closeAllConnections();
  await closed;
  // Ends the look at connections, which is all that is left of it.
  server.close();
}
