import { isAscii, isUtf8 } from "node:buffer";
import { Agent } from "undici";
import { type Clock, delay } from "../../clock.ts";
import { httpClientLimits } from "../../limits.ts";
import { type Form, encode } from "../../protocol/codec.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import { permissionSet } from "../../protocol/permissions.ts";
import type { Capability, CapabilityScope, GrantHolder } from "../capability.ts";
import { type Resolve, createConnector, systemResolve } from "./connect.ts";
import { type Exchange, type HttpAnswer, beginExchange } from "./exchange.ts";
import { type HttpClientLimits, exhausted, stopped } from "./failures.ts";
import type { Header } from "./headers.ts";
import { type HttpRequest, parseHttpRequest } from "./parse-request.ts";

/** What an http client is made with. */
export interface HttpClientOptions {
  readonly clock: Clock;
  readonly limits?: HttpClientLimits;
  /** The system's lookup, unless a test answers itself. */
  readonly resolve?: Resolve;
  /** Certificates in PEM that are trusted instead of the usual ones. */
  readonly ca?: string;
}

/** Besides what a domain grants: this machine, the network around it, metadata services. */
const privatePermission = "http:private";

/**
 * The http capability: requests to the outside on a guest's behalf, by HTTP/1.1. Its one operation `request` takes
 * `{ method?, url, headers?, body?, stream?, timeoutMs?, firstByteTimeoutMs?, redirect?, inline? }` and answers
 * `{ status, headers, url, body? or stream? }`: the body itself where it is short and there, the reference of a
 * stream otherwise, and never a stream where `inline` was asked for. Bodies are as they come, never decompressed.
 *
 * Every hop is held against the permissions: its host, and the very address that the connection leads to.
 * PERMISSION_DENIED for what is not granted, INVALID_REQUEST for a request that is none, COMMUNICATION_FAILURE for
 * a server that is out of reach or breaks off, TIMEOUT with the `phase`, RESOURCE_EXHAUSTED and PAYLOAD_TOO_LARGE
 * for sizes. Statuses of the server, 500 too, are answers.
 */
export function createHttpClient(options: HttpClientOptions): Capability {
  const { clock, ca, limits = httpClientLimits, resolve = systemResolve } = options;
  const agentFor = (allowPrivate: boolean) =>
    new Agent({
      // Deadlines are the exchange's, on the clock of the system.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: createConnector({ allowPrivate, resolve, limits, ca }),
      allowH2: false,
      pipelining: 1,
      keepAliveTimeout: limits.keepAliveMs,
      keepAliveMaxTimeout: limits.keepAliveMsMax,
      maxHeaderSize: limits.answerHeadersBytesMax,
    });
  // A kept connection is used again by whoever asks for its host: two policies must never share one.
  const publicAgent = agentFor(false);
  const privateAgent = agentFor(true);
  const exchanges = new Set<Exchange>();
  const calls = new Set<Promise<unknown>>();
  let held: ReadonlySet<string> = new Set();
  let closing: Promise<void> | undefined;

  function begin(request: HttpRequest, scope: CapabilityScope): Exchange {
    const ofInstance = [...exchanges].filter(({ instanceId }) => instanceId === scope.instanceId).length;
    const wait = "Read or give up the answers of earlier requests first.";
    if (exchanges.size >= limits.requestsMax) throw exhausted("requestsMax", limits, wait, "later");
    if (ofInstance >= limits.requestsPerInstanceMax) {
      throw exhausted("requestsPerInstanceMax", limits, wait, "later");
    }
    const dispatcher = scope.permissions.includes(privatePermission) ? privateAgent : publicAgent;
    const onEnd = () => exchanges.delete(exchange);
    const exchange = beginExchange(request, scope, { clock, limits, dispatcher, onEnd });
    exchanges.add(exchange);
    return exchange;
  }

  async function close(): Promise<void> {
    const grace = new AbortController();
    const patience = delay(clock, limits.closeGraceMs, grace.signal).catch(() => undefined);
    await Promise.race([Promise.allSettled(calls), patience]);
    grace.abort(new Error("nothing to wait for"));
    for (const exchange of exchanges) exchange.giveUp(stopped());
    await Promise.all([publicAgent.destroy(stopped()), privateAgent.destroy(stopped())]);
  }

  return {
    providerType: "http",
    async call(scope, operation, payload) {
      if (closing !== undefined) throw stopped();
      if (operation !== "request") {
        throw new Failure("INVALID_REQUEST", `http has no operation ${echo(operation)}`, {
          fix: "Use request.",
        });
      }
      const { request, form } = parseHttpRequest(payload, limits);
      const { answer } = begin(request, scope);
      calls.add(answer);
      try {
        return encodeAnswer(await answer, form);
      } finally {
        calls.delete(answer);
      }
    },
    granted(holders) {
      const now = new Set(holders.map(({ instanceId }) => instanceId));
      for (const exchange of exchanges) {
        // A call may be ahead of the news of its grant: only who was heard of can lose something.
        if (!held.has(exchange.instanceId) || covers(holders, exchange)) continue;
        exchange.giveUp(
          new Failure("PERMISSION_DENIED", "http: the grant of this request was taken back", {
            details: { operation: "request" },
          }),
        );
      }
      held = now;
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** A value that is not ASCII travels as its bytes where it can: its reader may not take it for Latin-1. */
function exactly([name, value]: Header): [string, string | Uint8Array] {
  return [name, isAscii(Buffer.from(value, "latin1")) ? value : Buffer.from(value, "latin1")];
}

function covers(holders: readonly GrantHolder[], { instanceId, permissions, url }: Exchange): boolean {
  const isPrivate = permissions.includes(privatePermission);
  return holders.some(
    (holder) =>
      holder.instanceId === instanceId &&
      (!isPrivate || holder.permissions.includes(privatePermission)) &&
      permissionSet("http", holder.permissions).missing("request", () => ({ url: url.href })) === undefined,
  );
}

function encodeAnswer(answer: HttpAnswer, form: Form): Uint8Array {
  const { body } = answer;
  if (form === "msgpack") return encode({ ...answer, headers: answer.headers.map(exactly) }, form);
  if (body === undefined) return encode(answer, form);
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const text = isUtf8(buffer) ? buffer.toString("utf8") : { base64: buffer.toString("base64") };
  return encode({ ...answer, body: text }, form);
}
