import { connect, type Socket } from "node:net";
import type { ByteSource } from "../../src/byte-source.ts";
import type { Bus, BusMessage } from "../../src/bus/bus.ts";
import { respondFailure } from "../../src/bus/guest-answers.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { type BusStreams, createStreams } from "../../src/bus/streams.ts";
import {
  createHttpServer,
  type HttpServer,
  type HttpServerOptions,
} from "../../src/capabilities/http-server/http-server.ts";
import { systemClock } from "../../src/clock.ts";
import { filterFor } from "../../src/protocol/addresses.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { startNatsServer } from "../support/nats-server.ts";

/** A request as a guest gets it. */
export interface GuestRequest {
  readonly method: string;
  readonly scheme: string;
  readonly authority?: string;
  readonly path: string;
  readonly headers: [string, string | Uint8Array][];
  readonly body?: Uint8Array;
  readonly stream?: string;
}

/** What stands in for a guest: a value is encoded, bytes are answered as they are, a throw is a failure. */
export type Responder = (request: GuestRequest, message: BusMessage, streams: BusStreams) => unknown;

/** A real nats-server, an http-server on it, and responders where guests would be. */
export interface HttpLab extends AsyncDisposable {
  readonly bus: Bus;
  readonly guestStreams: BusStreams;
  readonly server: HttpServer;
  readonly url: string;
  /** What the log was told. */
  readonly warnings: object[];
  readonly kill: () => Promise<void>;
  /** Another server on the same bus. */
  open(options?: Partial<HttpServerOptions>): Promise<HttpServer>;
  /** Makes somebody answer `http-request` for a name, until the function returned is called. */
  respond(name: string, responder: Responder): Promise<() => void>;
  /** Sends bytes as they are and reads until the server hangs up, or `until` says that it is enough. */
  raw(
    text: string | readonly string[],
    until?: (received: string) => boolean,
    port?: number,
  ): Promise<string>;
}

export async function httpLab(options: Partial<HttpServerOptions> = {}): Promise<HttpLab> {
  const nats = await startNatsServer();
  const connection = () => connectNats({ servers: nats.url, name: "test", connectTimeoutMs: 5_000 });
  const [bus, guestBus] = await Promise.all([connection(), connection()]);
  const clock = systemClock;
  const streams = createStreams({ lattice: "test", holder: "front", bus, clock });
  const guestStreams = createStreams({ lattice: "test", holder: "n1", bus: guestBus, clock });
  const servers: HttpServer[] = [];
  const warnings: object[] = [];
  const log = {
    warn: (fields: object) => void warnings.push(fields),
    error: (fields: object) => void warnings.push(fields),
  };
  const open = async (more: Partial<HttpServerOptions> = {}) => {
    const server = await createHttpServer({
      lattice: "test",
      bus,
      clock,
      log,
      streams,
      host: "127.0.0.1",
      port: 0,
      ...more,
    });
    servers.push(server);
    return server;
  };
  const server = await open(options);
  const { port } = server.address;

  return {
    bus,
    guestStreams,
    server,
    url: `http://127.0.0.1:${port}`,
    warnings,
    kill: () => nats.kill(),
    open,
    async respond(name, responder) {
      const filter = filterFor("call", { lattice: "test", target: name, operation: "http-request" });
      const answer = async (message: BusMessage) => {
        try {
          const request = decode(message.data).value as GuestRequest;
          const value = await responder(request, message, guestStreams);
          message.respond(value instanceof Uint8Array ? value : encode(value, "msgpack"));
        } catch (error) {
          respondFailure(message, error, clock.now());
        }
      };
      const subscription = guestBus.subscribe(filter, (message) => void answer(message), { queue: name });
      await guestBus.flush();
      return () => subscription.unsubscribe();
    },
    raw: (text, until, to = port) => rawExchange(to, typeof text === "string" ? [text] : text, until),
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((one) => one.close()));
      streams.close("the test is over");
      guestStreams.close("the test is over");
      await Promise.all([bus.close(), guestBus.close()]);
      await nats.stop();
    },
  };
}

/** One connection; each text is sent after the one before had an answer. */
function rawExchange(
  port: number,
  texts: readonly string[],
  until: (received: string) => boolean = () => false,
): Promise<string> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ port, host: "127.0.0.1" });
    let received = "";
    let next = 0;
    const send = () => {
      const text = texts[next];
      next += 1;
      if (text !== undefined) socket.write(Buffer.from(text, "latin1"));
    };
    socket.once("connect", send);
    socket.on("data", (data: Buffer) => {
      received += data.toString("latin1");
      if (until(received)) socket.destroy();
      else if (next < texts.length) send();
    });
    // A reset is an end as well; what came before it counts.
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(received));
  });
}

/** A body of that many bytes in pieces; counts what was given, and whether somebody gave it up. */
export function countedSource(bytes: number, pieceBytes = 65_536) {
  let given = 0;
  let cancelled: string | undefined;
  const source: ByteSource = {
    async read(bytesMax) {
      if (given >= bytes) return undefined;
      const piece = Buffer.alloc(Math.min(bytesMax, pieceBytes, bytes - given), given % 251);
      given += piece.length;
      return piece;
    },
    cancel: (reason) => (cancelled ??= reason),
  };
  return { source, given: () => given, cancelled: () => cancelled };
}

/** A grant that is a route. */
export function routeGrant(name: string, config: Record<string, string> = {}, instanceId = `${name}-1`) {
  return {
    lattice: "test",
    instanceId,
    name,
    nodeId: "n1",
    incarnation: 1,
    capabilityId: "web",
    permissions: ["http-server:serve"],
    config,
  };
}
