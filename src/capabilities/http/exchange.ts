import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { ByteSource } from "../../byte-source.ts";
import type { Clock } from "../../clock.ts";
import { streamLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { permissionSet } from "../../protocol/permissions.ts";
import type { CapabilityScope } from "../capability.ts";
import { answerBody, requestBody } from "./bodies.ts";
import { type HttpClientLimits, late, networkFailure } from "./failures.ts";
import { type Header, answerHeaders, valueOf } from "./headers.ts";
import { type Lifetime, beginLifetime } from "./lifetime.ts";
import type { HttpRequest } from "./parse-request.ts";
import { type Hop, redirectedHop, unfollowed } from "./redirects.ts";
import { assertPermitted } from "./target.ts";

/** What came back: the whole body, or where it can be read. */
export interface HttpAnswer {
  readonly status: number;
  /** Without those of the connection. */
  readonly headers: readonly Header[];
  /** Of the last hop. */
  readonly url: string;
  readonly body?: Uint8Array;
  readonly stream?: string;
}

/** One request of a guest, from its beginning until the last byte of its answer was read. */
export interface Exchange {
  readonly instanceId: string;
  /** What its caller was granted when it began. */
  readonly permissions: readonly string[];
  /** Where it is now. */
  readonly url: URL;
  /** Rejects with a `Failure`. */
  readonly answer: Promise<HttpAnswer>;
  /** Ends it: its socket is closed, and whoever waits for it or reads it gets the reason. */
  giveUp(reason: Failure): void;
}

/** What an exchange is done with. */
export interface ExchangeWorld {
  readonly clock: Clock;
  readonly limits: HttpClientLimits;
  /** The pool of the policy that the caller's permissions make. */
  readonly dispatcher: Dispatcher;
  /** Called once, when nothing of it is left. */
  readonly onEnd: () => void;
}

/** Begins a request; follows redirects where it says so, each hop checked like the first. */
export function beginExchange(request: HttpRequest, scope: CapabilityScope, world: ExchangeWorld): Exchange {
  const { clock, limits, onEnd } = world;
  const permissions = permissionSet("http", scope.permissions);
  const upload = request.stream === undefined ? undefined : scope.streams.open(request.stream);
  const life = beginLifetime(clock, () => {
    upload?.cancel("the request is over");
    onEnd();
  });
  life.limit(request.timeoutMs, () => late("whole", request.timeoutMs));
  const running: Running = { request, scope, world, upload, life };
  let hop: Hop = { ...request, hasBody: request.body !== undefined || upload !== undefined };

  async function answer(): Promise<HttpAnswer> {
    try {
      for (let redirects = 0; ; redirects += 1) {
        assertPermitted(permissions, hop.url, scope.instanceId);
        const response = await send(running, hop);
        const next = request.redirect === "follow" ? redirectedHop(hop, response, limits) : undefined;
        if (next === undefined) return await finish(running, hop, response);
        response.body.destroy();
        if (redirects === limits.redirectsMax) throw unfollowed(`more than ${limits.redirectsMax} times`);
        if (next.hasBody && upload !== undefined) throw unfollowed("a body that can be sent only once");
        scope.used?.(`http:domain:${next.url.hostname}`);
        hop = next;
      }
    } catch (error) {
      const failure = networkFailure(error, limits);
      life.giveUp(failure);
      throw failure;
    }
  }

  return {
    instanceId: scope.instanceId,
    permissions: scope.permissions,
    get url() {
      return hop.url;
    },
    // Not before its caller has it in hand: a refusal comes at once, and ends it.
    answer: Promise.resolve().then(answer),
    giveUp: life.giveUp,
  };
}

/** An exchange in progress. */
interface Running {
  readonly request: HttpRequest;
  readonly scope: CapabilityScope;
  readonly world: ExchangeWorld;
  readonly upload: ByteSource | undefined;
  readonly life: Lifetime;
}

/** The head of an answer, its body not read yet. */
interface Response {
  readonly status: number;
  readonly headers: readonly Header[];
  readonly location: string | undefined;
  readonly body: Readable;
}

async function send(running: Running, hop: Hop): Promise<Response> {
  const { request, world, life } = running;
  const { clock, limits, dispatcher } = world;
  const { firstByteTimeoutMs } = request;
  const firstByte = clock.setTimeout(
    () => life.giveUp(late("first-byte", firstByteTimeoutMs)),
    firstByteTimeoutMs,
  );
  try {
    const sent = dispatcher.request({
      origin: hop.url.origin,
      path: `${hop.url.pathname}${hop.url.search}`,
      method: hop.method,
      headers: headersOf(hop),
      body: hop.hasBody ? bodyOf(running) : null,
      signal: life.signal,
      responseHeaders: "raw",
    });
    // Given up while it waits for a connection, the library says so only when it has one.
    const { statusCode, headers: raw, body } = await Promise.race([sent, life.givenUp]);
    // It may break before it is read; whoever reads it is told then.
    body.on("error", () => undefined);
    // The library's types do not know of raw headers.
    const headers = answerHeaders(raw as unknown as string[], limits);
    return { status: statusCode, headers, location: valueOf(headers, "location"), body };
  } finally {
    clock.clearTimeout(firstByte);
  }
}

function bodyOf({ request, world, upload }: Running): Uint8Array | Readable | null {
  return upload === undefined ? (request.body ?? null) : requestBody(request.body, upload, world.limits);
}

async function finish(
  { request, scope, world, life }: Running,
  hop: Hop,
  response: Response,
): Promise<HttpAnswer> {
  const { clock, limits } = world;
  const { status, headers } = response;
  const head = { status, headers, url: hop.url.href };
  const content = answerBody(response.body, { clock, limits, giveUp: life.giveUp, onEnd: life.end });
  const isEmpty = hop.method === "HEAD" || status === 204 || status === 304;
  const saidBytes = isEmpty ? 0 : Number(valueOf(headers, "content-length") ?? 0);
  const max = request.inline ? limits.inlineBodyBytesMax : streamLimits.inlineBytesMax;
  const waitMs = request.inline ? undefined : limits.inlineWaitMs;
  const whole = saidBytes > max ? undefined : await content.gather(max, waitMs);
  if (whole !== undefined) return { ...head, body: whole };
  if (request.inline) throw tooLarge(max);
  life.limit(limits.streamMsMax, () => late("body", limits.streamMsMax));
  return { ...head, stream: scope.streams.serve(content.source) };
}

/** What the guest said, and two words of our own: bodies are given as they come, so none is asked for compressed. */
function headersOf({ headers }: Hop): string[] {
  const flat = headers.flat();
  if (valueOf(headers, "accept-encoding") === undefined) flat.push("accept-encoding", "identity");
  if (valueOf(headers, "user-agent") === undefined) flat.push("user-agent", "wasmatrix");
  return flat;
}

function tooLarge(max: number): Failure {
  return new Failure("PAYLOAD_TOO_LARGE", `http: the answer's body has more than ${max} bytes`, {
    fix: "Ask without inline, and read the body as a stream; or in parts, with a range header.",
    details: { limit: "inlineBodyBytesMax", max },
  });
}
