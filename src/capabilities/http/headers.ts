import { echo } from "../../protocol/ids.ts";
import { type HttpClientLimits, exhausted, wrong } from "./failures.ts";

/** A header by its name and value; bytes above 0x7f are characters of Latin-1, as HTTP has them. */
export type Header = readonly [name: string, value: string];

/** RFC 9110, 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** RFC 9110, 5.5: no control character but a tab. A line end would begin a header of its own, or the body. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What the two ends of one connection tell each other (RFC 9110, 7.6.1). */
const ofConnection =
  /^(?:connection|keep-alive|te|trailer|transfer-encoding|upgrade|http2-settings|proxy-.*)$/;

/**
 * What the sender of a request says of itself: where it goes, how it is framed, whose it was before. From a guest
 * these smuggle a second request into the connection, or speak in the name of somebody else.
 */
const ofSender = /^(?:host|content-length|expect|forwarded|x-forwarded-.*|x-real-ip)$/;

const rule = 'Headers are pairs [["name", "value"]] or a map of names and values.';

/**
 * Headers of a guest's request. Throws INVALID_REQUEST that names the entry for what is none, or is not the guest's
 * to say; RESOURCE_EXHAUSTED for too many.
 */
export function readHeaders(value: unknown, limits: HttpClientLimits): Header[] {
  const pairs = pairsOf(value);
  if (pairs.length > limits.headersMax) throw exhausted("headersMax", limits, "Send fewer headers.");
  let bytes = 0;
  return pairs.map((pair, index) => {
    const field = `headers[${index}]`;
    const [name, text] = Array.isArray(pair) && pair.length === 2 ? (pair as unknown[]) : [];
    if (typeof name !== "string") throw wrong(field, `is ${echo(pair)}, not a pair`, rule);
    if (name.length > limits.headerNameBytesMax || !token.test(name)) {
      throw wrong(field, `has a name that is none: ${echo(name)}`, "Use letters, digits and -.");
    }
    const key = name.toLowerCase();
    if (ofConnection.test(key) || ofSender.test(key)) {
      throw wrong(field, `is ${echo(name)}, which is for the provider to say`, "Leave it out.");
    }
    const line = textOf(field, text);
    bytes += name.length + line.length;
    if (bytes > limits.headersBytesMax) throw exhausted("headersBytesMax", limits, "Send less in headers.");
    if (!fieldValue.test(line)) {
      const fix = "Use printable characters of Latin-1, or bytes, without line ends and NUL.";
      throw wrong(field, `has a value that no header can have: ${echo(line)}`, fix);
    }
    return [name, line] as const;
  });
}

/** The headers of an answer, without those of its connection. */
export function answerHeaders(raw: readonly string[], limits: HttpClientLimits): Header[] {
  if (raw.length > 2 * limits.headersMax) {
    throw exhausted("headersMax", limits, "Its server sends more headers than are taken here.");
  }
  const headers: Header[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (!ofConnection.test(name.toLowerCase())) headers.push([name, raw[at + 1] ?? ""]);
  }
  return headers;
}

/** The first value of a header, by its name in lower case. */
export function valueOf(headers: readonly Header[], key: string): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === key)?.[1];
}

function pairsOf(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  if (typeof value !== "object" || value instanceof Uint8Array) {
    throw wrong("headers", `is ${echo(value)}`, rule);
  }
  return Object.entries(value);
}

function textOf(field: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1");
  }
  throw wrong(field, `has a value that is ${echo(value)}`, rule);
}
