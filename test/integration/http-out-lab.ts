import { type RequestListener, type Server, createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { ByteSource, ByteStreams } from "../../src/byte-source.ts";
import type { Capability, CapabilityScope } from "../../src/capabilities/capability.ts";
import { type HttpClientOptions, createHttpClient } from "../../src/capabilities/http/http-client.ts";
import { systemClock } from "../../src/clock.ts";
import { httpClientLimits } from "../../src/limits.ts";
import { type Form, decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { capabilityScope } from "../support/capability-scope.ts";

/** A real server on the loopback address that counts who comes. */
export interface CountingServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Connections that were made, ever. */
  readonly connections: number;
  /** Connections that are open now. */
  readonly open: ReadonlySet<Socket>;
  /** Resolves when no connection is open any more. */
  quiet(): Promise<void>;
}

/** Starts a server of node:http. */
export function serveHttp(listener: RequestListener): Promise<CountingServer> {
  return listening(createServer(listener), "http");
}

/** Counts the connections of a server of any kind, on a free port of an address. */
export async function listening(
  server: Pick<Server, "on" | "listen" | "address" | "close">,
  scheme: string,
  address = "127.0.0.1",
): Promise<CountingServer> {
  const open = new Set<Socket>();
  let connections = 0;
  let told: (() => void) | undefined;
  server.on("connection", (socket: Socket) => {
    connections += 1;
    open.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      open.delete(socket);
      if (open.size === 0) told?.();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    port,
    get connections() {
      return connections;
    },
    open,
    async quiet() {
      if (open.size > 0) await new Promise<void>((resolve) => (told = resolve));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Streams in the memory of the test. */
export interface TestStreams extends ByteStreams {
  readonly served: Map<string, ByteSource>;
  /** Sources that were given up, with the reason. */
  readonly cancelled: string[];
}

/** Streams whose references are `s1`, `s2` and so on. */
export function testStreams(): TestStreams {
  const served = new Map<string, ByteSource>();
  return {
    served,
    cancelled: [],
    serve(source) {
      const ref = `s${served.size + 1}`;
      served.set(ref, source);
      return ref;
    },
    open(ref) {
      const source = served.get(ref);
      if (source === undefined) throw new Failure("INVALID_REQUEST", "no stream of that reference");
      return source;
    },
  };
}

/** A source of pieces; what is cancelled is noted. */
export function sourceOf(pieces: Iterable<Uint8Array>, cancelled: string[] = []): ByteSource {
  const iterator = pieces[Symbol.iterator]();
  return {
    async read() {
      const next = iterator.next();
      return next.done === true ? undefined : next.value;
    },
    cancel: (reason) => void cancelled.push(reason),
  };
}

/** Everything that a source still has. */
export async function readAll(source: ByteSource, bytesMax = 65_536): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = await source.read(bytesMax);
    if (piece === undefined) return Buffer.concat(pieces);
    pieces.push(piece);
  }
}

/** What a test may change of the client and of its caller. */
export interface LabOptions extends Partial<Omit<HttpClientOptions, "limits">> {
  readonly limits?: Partial<typeof httpClientLimits> | { [name in keyof typeof httpClientLimits]?: number };
  readonly permissions?: readonly string[];
}

/** An answer as a guest gets it. */
export interface Answer {
  readonly status: number;
  readonly headers: [string, string][];
  readonly url: string;
  readonly body?: Uint8Array | string | { base64: string };
  readonly stream?: string;
}

/** A client with a caller who was granted everything unless the test says otherwise. */
export interface HttpLab extends AsyncDisposable {
  readonly http: Capability;
  readonly streams: TestStreams;
  ask(fields: object, parts?: Partial<CapabilityScope>, form?: Form): Promise<Answer>;
  /** The failure of a request that must fail; an answer is an error of the test. */
  refused(fields: object, parts?: Partial<CapabilityScope>): Promise<Failure>;
}

/** Makes a client. */
export function httpLab(options: LabOptions = {}): HttpLab {
  const { permissions = ["http:request", "http:private"], limits, ...rest } = options;
  const http = createHttpClient({
    clock: systemClock,
    ...rest,
    limits: { ...httpClientLimits, ...limits },
  });
  const streams = testStreams();
  const ask: HttpLab["ask"] = async (fields, parts = {}, form = "msgpack") => {
    const scope = capabilityScope({ permissions, streams, ...parts });
    return decode(await http.call(scope, "request", encode(fields, form))).value as Answer;
  };
  return {
    http,
    streams,
    ask,
    async refused(fields, parts) {
      const outcome = await ask(fields, parts).then(
        (answer) => new Error(`it was answered: ${JSON.stringify(answer)}`),
        (error: unknown) => error,
      );
      if (outcome instanceof Failure) return outcome;
      throw outcome;
    },
    [Symbol.asyncDispose]: () => http.close(),
  };
}

/** The body of an answer as text. */
export function textOf({ body }: Answer): string {
  if (!(body instanceof Uint8Array)) throw new Error("the body is not inline");
  return Buffer.from(body).toString("utf8");
}

/** A server that answers with what it was asked, as JSON. */
export const mirror = (): Promise<CountingServer> =>
  serveHttp((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { method, url, rawHeaders } = request;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ method, url, rawHeaders, body: Buffer.concat(pieces).toString() }));
    });
  });

/** A server that answers with so many bytes; on `/length` it says before how many. */
export const bulk = (bytes: number, piece = 16_384): Promise<CountingServer> =>
  serveHttp((request, response) => {
    if (request.url === "/length") response.setHeader("content-length", bytes);
    let left = bytes;
    const write = () => {
      while (left > 0) {
        const size = Math.min(piece, left);
        left -= size;
        if (!response.write(Buffer.alloc(size, "x"))) return void response.once("drain", write);
      }
      response.end();
    };
    write();
  });
