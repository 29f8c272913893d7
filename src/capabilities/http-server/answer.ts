import type { ByteSource } from "../../byte-source.ts";
import { httpServerLimits } from "../../limits.ts";
import { decode } from "../../protocol/codec.ts";
import { headerName } from "./header-names.ts";
import { malformedAnswer } from "./refusal.ts";

/** The answer of a guest, checked: what is in it can be written to a socket. */
export interface Answer {
  readonly status: number;
  /** Names and values in turn, as Node writes them: a character is a byte. Without a length. */
  readonly headers: string[];
  /** What the guest says of the length of its body. */
  readonly contentLength: number | undefined;
  readonly body: Uint8Array;
  /** The reference of a stream with what follows the body. */
  readonly stream: string | undefined;
}

/** What an answer without a body has for one. */
const nothing = new Uint8Array(0);

/** A value that would end its header, or the head (RFC 9110, 5.5). */
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for.
const badValue = /[\x00-\x08\x0a-\x1f\x7f]/;
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for.
const notAscii = /[^\x00-\x7f]/;

/** The reference in what may be no answer at all: whoever cannot use the stream must still give it up. */
export function streamIn(value: unknown): string | undefined {
  const stream = (value as { stream?: unknown } | null)?.stream;
  return typeof stream === "string" ? stream : undefined;
}

/**
 * Reads `{ status, headers?, body?, stream? }` in MessagePack or JSON; in JSON a body is a text, or `{ base64 }`. Headers
 * of the connection are left out. Throws a `Failure` for what is no answer of HTTP: 1xx are none.
 */
export function readAnswer(value: unknown): Answer {
  const fields = value as Readonly<Record<string, unknown>>;
  const status = fields["status"];
  if (typeof status !== "number" || !Number.isInteger(status) || status < 200 || status > 599)
    throw malformedAnswer("its status is not one from 200 to 599");
  const stream = fields["stream"] ?? undefined;
  if (stream !== undefined && typeof stream !== "string") throw malformedAnswer("its stream is no reference");
  const headers: string[] = [];
  const lengths = new Set<string>();
  readHeaders(fields["headers"] ?? [], headers, lengths);
  return { status, headers, contentLength: lengthOf(lengths), body: bytesOf(fields["body"]), stream };
}

/** The value in an answer's bytes. */
export function decodeAnswer(bytes: Uint8Array): unknown {
  try {
    return decode(bytes).value;
  } catch {
    throw malformedAnswer("it is neither MessagePack nor JSON");
  }
}

function readHeaders(list: unknown, headers: string[], lengths: Set<string>): void {
  if (!Array.isArray(list) || list.length > httpServerLimits.answerHeadersMax)
    throw malformedAnswer("its headers are no list of pairs, or too many");
  let bytes = 0;
  for (const pair of list as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string")
      throw malformedAnswer("a header is no pair of a name and a value");
    const name = headerName(pair[0]);
    const text = valueOf(pair[1]);
    if (name.type === "invalid" || badValue.test(text))
      throw malformedAnswer("a header has a name or a value that HTTP does not allow");
    bytes += pair[0].length + text.length;
    if (bytes > httpServerLimits.answerHeadersBytesMax) throw malformedAnswer("its headers are too long");
    if (name.type !== "passed") continue;
    if (name.name === "content-length") lengths.add(text);
    else headers.push(name.name, text);
  }
}

function valueOf(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("latin1");
  if (typeof value !== "string") throw malformedAnswer("a header's value is neither text nor bytes");
  return notAscii.test(value) ? Buffer.from(value).toString("latin1") : value;
}

/** Undefined where it contradicts itself or is no length: then the server's own counts. */
function lengthOf(lengths: ReadonlySet<string>): number | undefined {
  const [only] = lengths;
  return lengths.size === 1 && only !== undefined && /^[0-9]{1,15}$/.test(only) ? Number(only) : undefined;
}

function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  if (body === undefined || body === null) return nothing;
  if (typeof body === "string") return Buffer.from(body);
  const base64 = typeof body === "object" ? (body as Record<string, unknown>)["base64"] : undefined;
  if (typeof base64 !== "string") throw malformedAnswer("its body is no bytes");
  return Buffer.from(base64, "base64");
}

/** A body that must have just the announced length: one that differs breaks, and does not look complete. */
export function ofLength(source: ByteSource, bytes: number): ByteSource {
  let left = bytes;
  return {
    async read(bytesMax) {
      const piece = await source.read(bytesMax);
      left -= piece?.length ?? 0;
      if (left < 0 || (piece === undefined && left > 0))
        throw malformedAnswer("its body does not have the length that it announced");
      return piece;
    },
    cancel: (reason) => source.cancel(reason),
  };
}
