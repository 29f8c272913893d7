import { type Form, decode } from "../../protocol/codec.ts";
import { echo } from "../../protocol/ids.ts";
import { type HttpClientLimits, wrong } from "./failures.ts";
import { type Header, readHeaders } from "./headers.ts";
import { readTarget } from "./target.ts";

/** A request that is one by its form. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: readonly Header[];
  /** The body, or what comes before `stream`. */
  readonly body: Uint8Array | undefined;
  /** The reference of a stream with the body, or with the rest of it. */
  readonly stream: string | undefined;
  /** Until the answer is complete, or its body begins to travel as a stream. */
  readonly timeoutMs: number;
  /** Until the head of the answer, of each hop. */
  readonly firstByteTimeoutMs: number;
  readonly redirect: "follow" | "manual";
  /** The whole body must come in the answer. */
  readonly inline: boolean;
}

const fieldNames = [
  "method",
  "url",
  "headers",
  "body",
  "stream",
  "timeoutMs",
  "firstByteTimeoutMs",
  "redirect",
  "inline",
];

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/** The longest id of a holder, a dot, and the id of a stream. */
const refCharactersMax = 128;

/** Decodes and checks a request; throws INVALID_REQUEST that names the field, RESOURCE_EXHAUSTED for sizes. */
export function parseHttpRequest(
  payload: Uint8Array,
  limits: HttpClientLimits,
): { request: HttpRequest; form: Form } {
  const { value, form } = decode(payload);
  if (Array.isArray(value)) throw wrong("the payload", "is an array", "Send a map.");
  const fields = value as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    if (fieldNames.includes(name)) continue;
    throw wrong(echo(name), "is not a field", `The fields are ${fieldNames.join(", ")}.`);
  }
  const method = oneOf("method", fields["method"] ?? "GET", methods);
  const body = bytesOf(fields["body"]);
  const stream = refOf(fields["stream"]);
  if ((method === "GET" || method === "HEAD") && ((body?.length ?? 0) > 0 || stream !== undefined)) {
    throw wrong("body", `belongs to no ${method}`, "Use POST, or leave the body out.");
  }
  const firstByteMs = durationOf("firstByteTimeoutMs", fields["firstByteTimeoutMs"], limits);
  const timeoutMs =
    durationOf("timeoutMs", fields["timeoutMs"], limits) ??
    Math.max(limits.timeoutMsDefault, firstByteMs ?? 0);
  const request: HttpRequest = {
    method,
    url: readTarget(fields["url"], limits),
    headers: readHeaders(fields["headers"], limits),
    body,
    stream,
    timeoutMs,
    firstByteTimeoutMs: firstByteMs ?? timeoutMs,
    redirect: oneOf("redirect", fields["redirect"] ?? "follow", ["follow", "manual"]),
    inline: flagOf("inline", fields["inline"]),
  };
  return { request, form };
}

function oneOf<Name extends string>(field: string, value: unknown, names: readonly Name[]): Name {
  const found = names.find((name) => name === value);
  if (found !== undefined) return found;
  throw wrong(field, `is ${echo(value)}`, `Use one of ${names.join(", ")}.`);
}

function flagOf(field: string, value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (typeof value === "boolean") return value;
  throw wrong(field, `is ${echo(value)}`, "Use true or false.");
}

function durationOf(field: string, value: unknown, { timeoutMsMax }: HttpClientLimits): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && value >= 1 && value <= timeoutMsMax) return Math.ceil(value);
  const shown = typeof value === "number" ? String(value) : echo(value);
  throw wrong(field, `is ${shown}`, `Give 1 to ${timeoutMsMax} milliseconds.`);
}

function refOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" && value.length <= refCharactersMax) return value;
  throw wrong("stream", `is no reference of a stream: ${echo(value)}`, "Pass on the reference as it came.");
}

function bytesOf(value: unknown): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return Buffer.from(value);
  const rule = 'A body is bin, a string, or { "base64": "…" }.';
  if (typeof value !== "object" || Array.isArray(value)) throw wrong("body", `is ${echo(value)}`, rule);
  const { base64, ...rest } = value as Record<string, unknown>;
  if (typeof base64 !== "string" || Object.keys(rest).length > 0) {
    throw wrong("body", "is a map of something else than one base64 text", rule);
  }
  const bytes = Buffer.from(base64, "base64");
  // Node skips what is not base64; only an exact text comes back as it was.
  if (bytes.toString("base64") === base64) return bytes;
  throw wrong("body.base64", `is not base64: ${echo(base64)}`, "Use the standard alphabet, padded.");
}
