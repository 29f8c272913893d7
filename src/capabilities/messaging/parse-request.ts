import { isUtf8 } from "node:buffer";
import { busLimits } from "../../limits.ts";
import { type Form, decode, encode } from "../../protocol/codec.ts";
import { Failure } from "../../protocol/errors.ts";
import { assertId, echo } from "../../protocol/ids.ts";
import type { MessagingRequest } from "./contract.ts";
import type { MessagingLimits } from "./messaging-limits.ts";

const fieldsOf: ReadonlyMap<string, readonly string[]> = new Map<MessagingRequest["operation"], string[]>([
  ["publish", ["topic", "body", "replyTo", "headers"]],
  ["request", ["topic", "body", "timeoutMs"]],
  ["subscribe", ["topic", "group"]],
  ["unsubscribe", ["topic"]],
]);

/**
 * Decodes a request and checks its form; whether its topics are any is for `topicRefusal`. Throws INVALID_REQUEST
 * that names the field.
 */
export function parseMessagingRequest(
  operation: string,
  payload: Uint8Array,
  limits: MessagingLimits,
): { request: MessagingRequest; form: Form } {
  const allowed = fieldsOf.get(operation);
  if (allowed === undefined) {
    throw new Failure("INVALID_REQUEST", `messaging has no operation ${echo(operation)}`, {
      fix: `Use one of ${[...fieldsOf.keys()].join(", ")}.`,
    });
  }
  const { value, form } = decode(payload);
  if (Array.isArray(value)) throw wrong(operation, "the payload", "is an array", "Send a map.");
  const fields = value as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    if (allowed.includes(name)) continue;
    throw wrong(operation, echo(name), "is not a field", `The fields are ${allowed.join(", ")}.`);
  }
  return { request: requestOf(operation as MessagingRequest["operation"], fields, limits), form };
}

/** The answer to a `request`, in its form. */
export function encodeAnswer(body: Uint8Array, form: Form): Uint8Array {
  if (form === "msgpack") return encode({ body }, form);
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return encode(
    { body: isUtf8(bytes) ? bytes.toString("utf8") : { base64: bytes.toString("base64") } },
    form,
  );
}

function requestOf(
  operation: MessagingRequest["operation"],
  fields: Record<string, unknown>,
  limits: MessagingLimits,
): MessagingRequest {
  const topic = textOf(operation, "topic", fields["topic"]);
  switch (operation) {
    case "publish": {
      const { replyTo, headers } = fields;
      return {
        operation,
        topic,
        body: bodyOf(operation, fields["body"]),
        replyTo: replyTo === undefined ? undefined : textOf(operation, "replyTo", replyTo),
        headers: headers === undefined ? undefined : headersOf(headers),
      };
    }
    case "request":
      return {
        operation,
        topic,
        body: bodyOf(operation, fields["body"]),
        timeoutMs: timeoutOf(fields["timeoutMs"], limits),
      };
    case "subscribe": {
      const { group } = fields;
      // It becomes a part of a queue name, which the client writes into the protocol as it is.
      if (group !== undefined) assertId(group, "group");
      return { operation, topic, group };
    }
    case "unsubscribe":
      return { operation, topic };
  }
}

function textOf(operation: string, field: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw wrong(operation, field, `is not a string but ${echo(value)}`, "Send a topic.");
}

function timeoutOf(value: unknown, limits: MessagingLimits): number {
  const timeoutMs = value ?? limits.requestTimeoutMsDefault;
  const max = limits.requestTimeoutMsMax;
  if (Number.isInteger(timeoutMs) && (timeoutMs as number) >= 1 && (timeoutMs as number) <= max) {
    return timeoutMs as number;
  }
  const what = `is not an integer from 1 to ${max}: ${typeof timeoutMs === "number" ? timeoutMs : echo(timeoutMs)}`;
  throw wrong("request", "timeoutMs", what, "Give milliseconds, no more than a guest can wait.");
}

/** Names that carry orders to the server, to JetStream or to us. */
const reservedHeader = /^(?:nats-|wasmatrix-|status$)/i;

function headersOf(value: unknown): Record<string, string> {
  const rule = "Headers are a map of texts.";
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw wrong("publish", "headers", `is ${echo(value)}`, rule);
  }
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length > busLimits.headersMax) {
    throw wrong("publish", "headers", `has ${entries.length} entries`, `At most ${busLimits.headersMax}.`);
  }
  const headers = new Map<string, string>();
  for (const [name, text] of entries) {
    if (typeof text !== "string") throw wrong("publish", `headers.${echo(name)}`, `is ${echo(text)}`, rule);
    if (reservedHeader.test(name)) {
      throw wrong("publish", `headers.${echo(name)}`, "is not for applications", "Name it otherwise.");
    }
    headers.set(name, text);
  }
  return Object.fromEntries(headers);
}

const utf8 = new TextEncoder();

function bodyOf(operation: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return utf8.encode(value);
  const rule = 'A body is bin, a string, or { "base64": "…" }.';
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(operation, "body", `is ${echo(value)}`, rule);
  }
  const { base64, ...rest } = value as Record<string, unknown>;
  if (typeof base64 !== "string" || Object.keys(rest).length > 0) {
    throw wrong(operation, "body", "is a map of something else than one base64 text", rule);
  }
  const bytes = Buffer.from(base64, "base64");
  // Node skips what is not base64; only an exact text comes back as it was.
  if (bytes.toString("base64") !== base64) {
    throw wrong(
      operation,
      "body.base64",
      `is not base64: ${echo(base64)}`,
      "Use the standard alphabet, padded.",
    );
  }
  return bytes;
}

function wrong(operation: string, field: string, what: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", `messaging ${operation}: ${field} ${what}`, {
    fix,
    details: { field },
  });
}
