import type { IncomingMessage, ServerResponse } from "node:http";
import type { ByteStreams } from "../../byte-source.ts";
import type { Bus } from "../../bus/bus.ts";
import type { Clock } from "../../clock.ts";
import { httpServerLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import type { Capability } from "../capability.ts";
import { type ExchangeWorld, exchange } from "./exchange.ts";
import type { HttpServerLimits } from "./http-server-limits.ts";
import { type ListenAddress, listen } from "./listen.ts";
import { refusalOf, sendRefusal, unavailable } from "./refusal.ts";
import type { Route } from "./route-table.ts";
import { createRoutes } from "./routes.ts";

/** Where a server of HTTP listens, and to whom it passes requests on. */
export interface HttpServerOptions {
  readonly lattice: string;
  readonly bus: Bus;
  readonly clock: Clock;
  /** Hears of routes that are left out, and of bugs. */
  readonly log?: {
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
  /** Where bodies go that do not fit a message. */
  readonly streams: ByteStreams;
  readonly host: string;
  /** 0 is any that is free. */
  readonly port: number;
  /** Routes beside those of grants; they stand before them. */
  readonly routes?: readonly Route[];
  /** A newer server may take the address over before this one closes; in one process no request is lost by that. */
  readonly reusePort?: boolean;
  /** What a proxy says in `X-Forwarded-*` is true. Where there is none, anybody could say so: false by default. */
  readonly trustProxy?: boolean;
  /** Where the server answers for itself: `/-/health` by default. */
  readonly healthPath?: string;
  /** In place of those of `httpServerLimits`. */
  readonly limits?: Partial<HttpServerLimits>;
}

/** The capability, and where it listens. */
export interface HttpServer extends Capability {
  readonly address: ListenAddress;
  check(): Promise<void>;
}

/**
 * The http-server provider: HTTP from outside becomes calls of guests. Each request is one call of the operation
 * `http-request` on the name that its route leads to, `{ method, scheme, authority, path, headers, body?, stream? }`,
 * answered with `{ status, headers, body?, stream? }`; of a body, `body` is the beginning and `stream` the rest. A grant
 * of `http-server:serve` is a route, by its configuration `path` (default `/`), `host` and `methods`. It has no
 * operations of its own.
 *
 * Rejects with INVALID_REQUEST for routes that are wrong, PROVIDER_UNAVAILABLE where the address cannot be had.
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { lattice, bus, clock, log, streams, healthPath = "/-/health" } = options;
  const { host, port, reusePort = false } = options;
  const limits: HttpServerLimits = { ...httpServerLimits, ...options.limits };
  const routes = createRoutes(
    { lattice, clock, warn: (fields, message) => log?.warn(fields, message) },
    options.routes ?? [],
  );
  const inProgress = new Set<ServerResponse>();
  let closing: Promise<void> | undefined;

  const extraHeaders = () => (listening.isEnding ? lastAnswer : none);
  const world: ExchangeWorld = {
    bus,
    clock,
    streams,
    routes,
    extraHeaders,
    trustProxy: options.trustProxy ?? false,
    limits,
  };

  const answerHealth = (request: IncomingMessage, response: ServerResponse) => {
    const status = closing !== undefined ? "draining" : bus.connected ? "ok" : "disconnected";
    const body = JSON.stringify({ status, routes: routes.size, inFlight: inProgress.size });
    response.writeHead(status === "ok" ? 200 : 503, [
      "content-type",
      "application/json",
      "content-length",
      String(body.length),
      "cache-control",
      "no-store",
      ...extraHeaders(),
    ]);
    response.end(request.method === "HEAD" ? undefined : body);
  };

  const onRequest = async (request: IncomingMessage, response: ServerResponse, mustContinue: boolean) => {
    // A write to a client that just left; that it did, its `close` tells.
    response.on("error", ignore);
    if (isAt(request, healthPath)) return answerHealth(request, response);
    inProgress.add(response);
    try {
      if (inProgress.size > limits.inFlightMax)
        throw unavailable("RESOURCE_EXHAUSTED", "too many requests are in progress");
      await exchange(world, request, response, mustContinue);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal.code === "INTERNAL_ERROR") log?.error({ error: String(error) }, "a request ran into a bug");
      // What comes of a body that nobody waits for could be taken for a request: of a client that was not told to send
      // it and may, and of one that took too long.
      const isLast = mustContinue || refusal.status === 408;
      sendRefusal(request, response, refusal, isLast ? lastAnswer : extraHeaders());
    } finally {
      inProgress.delete(response);
    }
  };

  const listening = await listen(
    clock,
    { host, port, reusePort, limits },
    {
      onRequest: (request, response, mustContinue) => void onRequest(request, response, mustContinue),
      onError: (error) => log?.error({ error: String(error) }, "the listener has a problem"),
    },
  );

  return {
    providerType: "http-server",
    address: listening.address,
    call(_scope, operation) {
      return Promise.reject(
        new Failure("INVALID_REQUEST", `http-server has no operation ${operation.slice(0, 64)}`, {
          fix: "It calls guests: grant http-server:serve, and answer the operation http-request.",
        }),
      );
    },
    async check() {
      if (closing !== undefined) throw new Failure("PROVIDER_UNAVAILABLE", "this server is closed");
      if (!bus.connected) throw new Failure("COMMUNICATION_FAILURE", "the bus is out of reach");
    },
    granted: (holders) => routes.granted(holders),
    close() {
      closing ??= listening.close(inProgress);
      return closing;
    },
  };
}

const none: readonly string[] = [];
const lastAnswer: readonly string[] = ["connection", "close"];

function ignore(): void {}

function isAt({ url = "", method }: IncomingMessage, path: string): boolean {
  if (!url.startsWith(path) || (method !== "GET" && method !== "HEAD")) return false;
  return url.length === path.length || url[path.length] === "?";
}
