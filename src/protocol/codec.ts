import { Packr } from "msgpackr/pack";
import { inspect } from "./codec-inspect.ts";
import { decodeJson } from "./codec-json.ts";
import { decodeMsgpack } from "./codec-msgpack.ts";
import { malformed } from "./codec-rules.ts";

/** The two forms of a message. Components speak MessagePack among themselves; JSON is for people and scripts. */
export type Form = "json" | "msgpack";

/** A message, and the form that its answer takes. */
export interface Decoded {
  value: unknown;
  form: Form;
}

// `msgpackr/pack` and not `msgpackr`: the latter loads a native add-on where it may, which the engine's
// permissions forbid, and the two then decode some strings differently.
const options = { useRecords: false, variableMapSize: true, useToJSON: false };
const packr = new Packr(options);
// `skipValues` is slower, and missing from the library's types.
const packrWithoutUndefined = new Packr(Object.assign({ skipValues: [undefined] }, options));

/**
 * A map or an array as the bytes of a message. What it returns, {@link decode} takes. A map's `undefined` values
 * are left out; -0 becomes 0. Bytes travel in MessagePack only.
 *
 * Throws INVALID_REQUEST with the path of what cannot travel: instances of classes, functions, bigints, numbers
 * that are not finite, strings with lone surrogates, keys such as `__proto__`, anything beyond `codecLimits`.
 *
 * The bytes may be a view of a larger buffer, as those of Node's `Buffer.from` are: never transfer their `buffer`.
 */
export function encode(value: unknown, form: Form): Uint8Array {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) throw notAMessage();
  const { holdsUndefined } = inspect(value, form === "msgpack");
  if (form === "json") return Buffer.from(JSON.stringify(value));
  return (holdsUndefined ? packrWithoutUndefined : packr).pack(value);
}

/**
 * A message from anywhere. The first byte tells the form: `{`, `[` or white space begin JSON, a map or an array
 * begins MessagePack. Maps become plain objects, bytes become `Uint8Array`s of their own that share no memory with
 * the input; of a key that comes twice the last value counts, in both forms.
 *
 * Throws INVALID_REQUEST that says what is wrong and where, and nothing else, whatever the bytes are: nested
 * or sized beyond `codecLimits`, truncated, followed by more, not UTF-8, keys that are no strings or are
 * `__proto__`, `constructor` or `prototype`, extension types (times travel as ISO 8601 text), 64-bit integers that
 * a JavaScript number cannot hold, numbers that are not finite.
 */
export function decode(bytes: Uint8Array): Decoded {
  const first = bytes[0];
  if (first === undefined) {
    throw malformed(
      "it is empty",
      0,
      "Send a JSON object or a MessagePack map; {} if there is nothing to say.",
    );
  }
  if (beginsJson(first)) return { value: decodeJson(bytes), form: "json" };
  if (beginsMsgpack(first)) return { value: decodeMsgpack(bytes), form: "msgpack" };
  throw malformed(
    `0x${first.toString(16).padStart(2, "0")} begins neither JSON nor a MessagePack map or array`,
    0,
    "Send a JSON object, without a byte order mark, or a MessagePack map.",
  );
}

function beginsJson(byte: number): boolean {
  return byte === 0x7b || byte === 0x5b || byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function beginsMsgpack(byte: number): boolean {
  return (byte >= 0x80 && byte <= 0x9f) || (byte >= 0xdc && byte <= 0xdf);
}

function notAMessage() {
  return malformed("it is neither a map nor an array", "the top", "Put the value into a map, under a name.");
}
