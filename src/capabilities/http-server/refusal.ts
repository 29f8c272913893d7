import type { IncomingMessage, ServerResponse } from "node:http";
import { httpServerLimits } from "../../limits.ts";
import { asFailure, type ErrorCode, errorCodes, Failure } from "../../protocol/errors.ts";

/** An answer of the server itself: the guest was not asked, or its answer could not be passed on. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly status: number;
  readonly code: ErrorCode;
  readonly headers: readonly string[];

  /** `headers` are names and values in turn. */
  constructor(status: number, code: ErrorCode, message: string, headers: readonly string[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

const retryAfter = ["retry-after", String(httpServerLimits.retryAfterSeconds)];

/** 400: the request is not one that can be passed on. */
export function badRequest(message: string): Refusal {
  return new Refusal(400, "INVALID_REQUEST", message);
}

/** 502: the guest answered something that is no HTTP. The message is for the log; a client is not told. */
export function malformedAnswer(what: string): Failure {
  return new Failure("GUEST_ERROR", `the answer to http-request is no HTTP answer: ${what}`, {
    fix: "Answer a map { status, headers: [[name, value]], body } in MessagePack or JSON.",
  });
}

/** 503 that asks to come back. */
export function unavailable(code: ErrorCode, message: string): Refusal {
  return new Refusal(503, code, message, retryAfter);
}

/** What is not in here is 502: what the guest did, or what it answered, is not to be passed on. */
const statuses: ReadonlyMap<ErrorCode, number> = new Map([
  ["INSTANCE_UNAVAILABLE", 503],
  ["INSTANCE_NOT_FOUND", 503],
  ["NODE_UNAVAILABLE", 503],
  ["PROVIDER_UNAVAILABLE", 503],
  ["RESOURCE_EXHAUSTED", 503],
  ["COMMUNICATION_FAILURE", 503],
  ["TIMEOUT", 504],
  ["PAYLOAD_TOO_LARGE", 413],
  ["PERMISSION_DENIED", 500],
  ["INTERNAL_ERROR", 500],
]);

/** What a client is told of anything thrown. Nothing of the inside is in it: no ids, no texts of guests. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const { code } = asFailure(error);
  const status = statuses.get(code) ?? 502;
  const { meaning } = errorCodes[code];
  if (code === "COMMUNICATION_FAILURE") return nobodyThere();
  if (status === 503) return unavailable(code, meaning);
  return new Refusal(status, code, status === 500 ? "the server cannot pass this request on" : meaning);
}

/** 503: a route leads to a name that nobody answers for now. */
export function nobodyThere(): Refusal {
  return unavailable("INSTANCE_UNAVAILABLE", "nobody answers for this address now");
}

/** Answers with a refusal, in JSON for whoever accepts it. Does nothing once an answer has begun. */
export function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Refusal,
  extra: readonly string[],
): void {
  if (response.headersSent || response.destroyed) return;
  const { status, code, message, headers } = refusal;
  const isJson = /\bjson\b/i.test(request.headers.accept ?? "");
  const body = isJson ? JSON.stringify({ code, message }) : `${code}: ${message}\n`;
  response.writeHead(status, [
    "content-type",
    isJson ? "application/json" : "text/plain; charset=utf-8",
    "content-length",
    String(Buffer.byteLength(body)),
    ...headers,
    ...extra,
  ]);
  response.end(request.method === "HEAD" ? undefined : body);
}
