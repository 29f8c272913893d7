import { isUtf8 } from "node:buffer";
import { Unpackr } from "msgpackr/unpack";
import { codecLimits } from "../limits.ts";
import * as rules from "./codec-rules.ts";

// The check has passed only integers that a number can hold.
const unpackr = new Unpackr({ useRecords: false, copyBuffers: true, int64AsType: "number" });

/** The value of MessagePack bytes that begin with a map or an array; the promises are those of `decode`. */
export function decodeMsgpack(bytes: Uint8Array): unknown {
  const marked = checkMsgpack(bytes);
  const whole = marked.length === 0 ? bytes : doubleMarks(bytes, marked);
  // A view of our own: the library leaves a property on the array it reads, and copies a `Buffer` into `Buffer`s.
  return unpackr.unpack(new Uint8Array(whole.buffer, whole.byteOffset, whole.byteLength));
}

/** msgpackr reads strings up to this size by itself, and longer ones with a `TextDecoder`. */
const textDecoderAboveBytes = 64;

/** A string beyond that size that begins with a byte order mark: its header, its first byte, its end. */
interface MarkedString {
  readonly header: number;
  readonly start: number;
  readonly end: number;
}

// Reused by every check; a check never calls another and never waits.
const left = new Int32Array(codecLimits.depthMax + 1);
const inMap = new Uint8Array(codecLimits.depthMax + 1);

/**
 * Walks the whole message once, without recursion and without building anything, and refuses what `decode` does
 * not promise to take, so that the library only ever sees well-formed bytes of a bounded size.
 */
function checkMsgpack(bytes: Uint8Array): MarkedString[] {
  const marked: MarkedString[] = [];
  let at = 0;
  let depth = 0;
  let values = 1;
  left[0] = 1;
  inMap[0] = 0;
  while (true) {
    while (left[depth] === 0) {
      if (depth === 0) {
        if (at === bytes.length) return marked;
        throw rules.malformed(`${bytes.length - at} bytes follow its end`, at, "Send one value per message.");
      }
      depth -= 1;
    }
    const token = bytes[at];
    if (token === undefined) throw truncated(at);
    const isKey = inMap[depth] === 1 && (left[depth]! & 1) === 0;
    left[depth]! -= 1;
    if ((token >= 0xa0 && token <= 0xbf) || (token >= 0xd9 && token <= 0xdb)) {
      at = passString(bytes, at, token, isKey, marked);
    } else if (isKey) {
      throw rules.malformed("a map has a key that is not a string", at, "Write the keys as strings.");
    } else if (token < 0x80 || token >= 0xe0) {
      at += 1;
    } else if (token < 0xa0 || token >= 0xdc) {
      if (depth === codecLimits.depthMax) throw rules.tooDeep(at);
      depth += 1;
      inMap[depth] = token < 0x90 || token >= 0xde ? 1 : 0;
      left[depth] = itemsOf(bytes, at, token);
      if ((values += left[depth]!) > codecLimits.valuesMax) throw rules.tooManyValues(at);
      at += token < 0xa0 ? 1 : (token & 1) === 0 ? 3 : 5;
    } else {
      at = passScalar(bytes, at, token);
    }
  }
}

/** How many items follow the header of a map or an array: an entry of a map is two. */
function itemsOf(bytes: Uint8Array, at: number, token: number): number {
  const isMap = token < 0x90 || token >= 0xde;
  const width = token < 0xa0 ? 0 : (token & 1) === 0 ? 2 : 4;
  const count = width === 0 ? token & 0x0f : readLength(bytes, at, width);
  if (isMap && count > codecLimits.mapKeysMax) throw rules.tooManyKeys(at);
  if (!isMap && count > codecLimits.arrayElementsMax) throw rules.tooManyElements(at);
  const items = isMap ? 2 * count : count;
  // An item has at least one byte.
  if (items > bytes.length - at - 1 - width) throw truncated(at);
  return items;
}

function passString(
  bytes: Uint8Array,
  at: number,
  token: number,
  isKey: boolean,
  marked: MarkedString[],
): number {
  const width = token < 0xc0 ? 0 : 1 << (token - 0xd9);
  const length = width === 0 ? token & 0x1f : readLength(bytes, at, width);
  const start = at + 1 + width;
  const end = start + length;
  if (end > bytes.length) throw truncated(at);
  if (!isText(bytes, start, end)) {
    throw rules.malformed(
      "a string is not valid UTF-8",
      at,
      "Send the text as UTF-8, and other bytes as bin.",
    );
  }
  if (isKey && (length === 9 || length === 11) && isForbidden(bytes, start, length)) {
    throw rules.forbiddenKey(at);
  }
  if (
    length > textDecoderAboveBytes &&
    bytes[start] === 0xef &&
    bytes[start + 1] === 0xbb &&
    bytes[start + 2] === 0xbf
  ) {
    marked.push({ header: at, start, end });
  }
  return end;
}

const forbiddenByFirstByte = new Map(
  ["__proto__", "constructor", "prototype"].map((key) => [key.charCodeAt(0), Buffer.from(key)]),
);

function isForbidden(bytes: Uint8Array, start: number, length: number): boolean {
  const forbidden = forbiddenByFirstByte.get(bytes[start]!);
  if (forbidden === undefined || forbidden.length !== length) return false;
  for (let index = 0; index < length; index += 1) {
    if (bytes[start + index] !== forbidden[index]) return false;
  }
  return true;
}

/** Looking at a short string here is quicker than calling out for it. */
const asciiScanBytesMax = 128;

function isText(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > asciiScanBytesMax) return isUtf8(bytes.subarray(start, end));
  for (let at = start; at < end; at += 1) {
    if (bytes[at]! > 0x7f) return isUtf8(bytes.subarray(at, end));
  }
  return true;
}

function passScalar(bytes: Uint8Array, at: number, token: number): number {
  switch (token) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return at + 1;
    case 0xc4:
    case 0xc5:
    case 0xc6: {
      const width = 1 << (token - 0xc4);
      return skip(bytes, at, 1 + width + readLength(bytes, at, width));
    }
    case 0xca:
      if ((bytes[at + 1]! & 0x7f) === 0x7f && bytes[at + 2]! >= 0x80) throw rules.notFinite(at);
      return skip(bytes, at, 5);
    case 0xcb:
      if ((bytes[at + 1]! & 0x7f) === 0x7f && bytes[at + 2]! >= 0xf0) throw rules.notFinite(at);
      return skip(bytes, at, 9);
    case 0xcc:
    case 0xcd:
    case 0xce:
      return skip(bytes, at, 1 + (1 << (token - 0xcc)));
    case 0xd0:
    case 0xd1:
    case 0xd2:
      return skip(bytes, at, 1 + (1 << (token - 0xd0)));
    case 0xcf:
    case 0xd3: {
      const end = skip(bytes, at, 9);
      if (!isSafeInteger(bytes, at + 1, token === 0xd3)) throw unsafeInteger(at);
      return end;
    }
    default:
      throw token === 0xc1 ? unusedType(at) : extensionType(at);
  }
}

/** Whether 64 big-endian bits are an integer within ±(2^53 − 1), which is what a number holds exactly. */
function isSafeInteger(bytes: Uint8Array, at: number, signed: boolean): boolean {
  const high = bigEndian(bytes, at, 4);
  const low = bigEndian(bytes, at + 4, 4);
  if (signed && high >= 0x80000000) return high > 0xffe00000 || (high === 0xffe00000 && low > 0);
  return high <= 0x1fffff;
}

/** The length that follows the token at `at`. */
function readLength(bytes: Uint8Array, at: number, width: number): number {
  return bigEndian(bytes, skip(bytes, at, 1 + width) - width, width);
}

function bigEndian(bytes: Uint8Array, at: number, width: number): number {
  let value = 0;
  for (let index = 0; index < width; index += 1) value = value * 256 + bytes[at + index]!;
  return value;
}

/** Where the value that begins at `at` and has `size` bytes ends. */
function skip(bytes: Uint8Array, at: number, size: number): number {
  if (at + size > bytes.length) throw truncated(at);
  return at + size;
}

function truncated(at: number) {
  const fix = "Send the whole message; if it is whole, a length in it is wrong.";
  return rules.malformed("the value that begins here ends beyond the message", at, fix);
}

function unsafeInteger(at: number) {
  const fix = "Send integers within ±9007199254740991, and larger ones as text.";
  return rules.malformed("an integer has more than 53 bits", at, fix);
}

function unusedType(at: number) {
  return rules.malformed("0xc1 begins no MessagePack value", at, "Send MessagePack or JSON.");
}

function extensionType(at: number) {
  const fix = "Send times as ISO 8601 text, and anything else as maps, arrays, strings, numbers or bin.";
  return rules.malformed("extension types are not allowed", at, fix);
}

/**
 * A copy in which each of these strings has its byte order mark twice: msgpackr's text decoder eats one of a long
 * string, and what a guest stored under a key would be looked for under another.
 */
function doubleMarks(bytes: Uint8Array, marked: readonly MarkedString[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let copied = 0;
  for (const { header, start, end } of marked) {
    const head = Buffer.from([0xdb, 0, 0, 0, 0, 0xef, 0xbb, 0xbf]);
    head.writeUInt32BE(end - start + 3, 1);
    parts.push(bytes.subarray(copied, header), head, bytes.subarray(start, end));
    copied = end;
  }
  return Buffer.concat([...parts, bytes.subarray(copied)]);
}
