import { isUtf8 } from "node:buffer";
import { componentHttpLimits } from "../../../limits.ts";
import { type Form, decode, encode } from "../../../protocol/codec.ts";
import { Failure } from "../../../protocol/errors.ts";
import { echo } from "../../../protocol/ids.ts";
import { type Field, type FieldList, fieldOf, fitsMessage } from "./http-field-list.ts";
import { isAuthority, isPathWithQuery, methodOf, methodText, schemeOf, schemeText } from "./http-targets.ts";

/** A body as it travels: its first bytes, the reference of a stream with the others, either or none. */
export interface TravellingBody {
  readonly body: Uint8Array | undefined;
  readonly stream: string | undefined;
}

/** `http-request`: what a guest that serves HTTP is asked. */
export interface RequestMessage extends TravellingBody {
  readonly method: string;
  readonly scheme: string | undefined;
  readonly authority: string | undefined;
  /** With its query. */
  readonly path: string;
  readonly headers: FieldList;
}

/** The head of an answer and its body, of a guest or from elsewhere. */
export interface ResponseMessage extends TravellingBody {
  readonly status: number;
  readonly headers: FieldList;
}

/** What a guest asks of an http provider. */
export interface FetchMessage extends TravellingBody {
  readonly method: string;
  readonly url: string;
  readonly headers: FieldList;
  readonly firstByteTimeoutMs: number | undefined;
}

const requestFields = ["method", "scheme", "authority", "path", "headers", "body", "stream"];

/**
 * A request `{ method, scheme?, authority?, path, headers?, body?, stream? }` in either form; in JSON a body is a
 * text, or `{ "base64": "…" }`. Without an authority that of its `host` header counts; headers of the connection
 * are left out. Throws INVALID_REQUEST that names the field.
 */
export function decodeRequest(payload: Uint8Array): { request: RequestMessage; form: Form } {
  const { value, form } = decode(payload);
  const fields = mapOf(value, "request");
  for (const name of Object.keys(fields)) {
    if (!requestFields.includes(name)) throw wrong("request", echo(name), "is not a field");
  }
  const headers = fields["headers"] ?? [];
  const request: RequestMessage = {
    method: checked("method", fields["method"], (text) => methodText(methodOf(text)) === text),
    scheme: optional("scheme", fields["scheme"], (text) => schemeText(schemeOf(text)) !== undefined),
    authority: optional("authority", fields["authority"] ?? hostOf(headers), isAuthority),
    path: checked("path", fields["path"] ?? "/", isPathWithQuery),
    headers: headersOf("request", headers),
    ...bodyOf("request", fields),
  };
  return { request, form };
}

/** An answer `{ status, headers?, body?, stream? }` of a provider. Throws INVALID_REQUEST that names the field. */
export function decodeResponse(bytes: Uint8Array): ResponseMessage {
  const fields = mapOf(decode(bytes).value, "response");
  const status = fields["status"];
  if (typeof status !== "number" || !isStatus(status))
    throw wrong("response", "status", "is no final HTTP status");
  return { status, headers: headersOf("response", fields["headers"] ?? []), ...bodyOf("response", fields) };
}

/** Whether it is the status of an answer: 1xx are none. */
export function isStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 999;
}

/** An answer in the form of its request. */
export function encodeResponse({ status, headers, body, stream }: ResponseMessage, form: Form): Uint8Array {
  const isEmpty = body === undefined || body.length === 0;
  return encode(
    {
      status,
      headers: travelling(headers, form),
      body: isEmpty ? undefined : travellingBytes(body, form),
      stream,
    },
    form,
  );
}

/** A request to a provider. */
export function encodeFetch({ headers, ...rest }: FetchMessage): Uint8Array {
  // A host of wasi:http gives a guest the answer that there is; one that follows redirects does so by itself.
  return encode({ ...rest, headers: travelling(headers, "msgpack"), redirect: "manual" }, "msgpack");
}

function mapOf(value: unknown, what: string): Record<string, unknown> {
  if (Array.isArray(value)) throw wrong(what, "the message", "is an array");
  return value as Record<string, unknown>;
}

function optional(field: string, value: unknown, isGood: (text: string) => boolean): string | undefined {
  return value === undefined || value === null ? undefined : checked(field, value, isGood);
}

function checked(field: string, value: unknown, isGood: (text: string) => boolean): string {
  if (typeof value !== "string" || !isGood(value))
    throw wrong("request", field, `is no ${field} of HTTP: ${echo(value)}`);
  return value;
}

function headersOf(what: string, value: unknown): FieldList {
  const { fieldsBytesMax, fieldOverheadBytes } = componentHttpLimits;
  if (!Array.isArray(value)) throw wrong(what, "headers", "is no list of pairs");
  if (value.length > fieldsBytesMax / fieldOverheadBytes)
    throw wrong(what, "headers", "has too many entries");
  const list: Field[] = [];
  for (const entry of value as unknown[]) {
    const [name, text] = Array.isArray(entry) && entry.length === 2 ? (entry as unknown[]) : [];
    // Characters of a text are those of Latin-1, which HTTP has for bytes.
    const bytes = typeof text === "string" ? new Uint8Array(Buffer.from(text, "latin1")) : text;
    if (typeof text === "string" && /[^\0-\xff]/.test(text)) {
      throw wrong(what, "headers", `cannot have the value ${echo(text)}`);
    }
    if (typeof name !== "string" || !(bytes instanceof Uint8Array)) {
      throw wrong(what, "headers", "holds something else than pairs of a name and a value");
    }
    const field = fieldOf(name, bytes);
    if (!("tag" in field)) list.push(field);
    else if (field.tag === "invalid-syntax")
      throw wrong(what, "headers", `cannot have ${echo(name)} with that value`);
  }
  if (!fitsMessage(list)) throw wrong(what, "headers", `exceeds ${fieldsBytesMax} bytes`);
  return list;
}

const utf8 = new TextEncoder();

function hostOf(headers: unknown): unknown {
  if (!Array.isArray(headers)) return undefined;
  const pair: unknown = headers.find(
    (one: unknown) => Array.isArray(one) && typeof one[0] === "string" && one[0].toLowerCase() === "host",
  );
  const value: unknown = Array.isArray(pair) ? pair[1] : undefined;
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value;
}

function bodyOf(what: string, fields: Record<string, unknown>): TravellingBody {
  const { body, stream } = fields;
  if (
    stream !== undefined &&
    stream !== null &&
    (typeof stream !== "string" || stream.length > componentHttpLimits.refCharactersMax)
  ) {
    throw wrong(what, "stream", "is no reference of a stream");
  }
  return { body: bytesOf(what, body), stream: stream ?? undefined };
}

function bytesOf(what: string, body: unknown): Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (body instanceof Uint8Array) return body;
  if (typeof body === "string") return utf8.encode(body);
  const base64 = typeof body === "object" ? (body as Record<string, unknown>)["base64"] : undefined;
  if (typeof base64 !== "string") throw wrong(what, "body", `is ${echo(body)}, not bytes`);
  const bytes = Buffer.from(base64, "base64");
  // Node skips what is not base64; only an exact text comes back as it was.
  if (bytes.toString("base64") !== base64) throw wrong(what, "body", `is not base64: ${echo(base64)}`);
  return bytes;
}

function travelling(headers: FieldList, form: Form): [string, string | Uint8Array][] {
  return headers.map(({ name, value }) => [
    name,
    isAscii(value) || form === "json" ? Buffer.from(value).toString("latin1") : value,
  ]);
}

function isAscii(value: Uint8Array): boolean {
  return value.every((byte) => byte < 0x80);
}

function travellingBytes(body: Uint8Array, form: Form): Uint8Array | string | { base64: string } {
  if (form === "msgpack") return body;
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.length);
  return isUtf8(buffer) ? buffer.toString("utf8") : { base64: buffer.toString("base64") };
}

function wrong(what: string, field: string, problem: string): Failure {
  return new Failure("INVALID_REQUEST", `http ${what}: ${field} ${problem}`, {
    fix: 'A request is { method, scheme, authority, path, headers: [["name", "value"]], body }, an answer { status, headers, body }.',
    details: { field },
  });
}
