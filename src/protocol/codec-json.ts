import { codecLimits } from "../limits.ts";
import { inspect } from "./codec-inspect.ts";
import * as rules from "./codec-rules.ts";
import { echo } from "./ids.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

const quote = 0x22;
const backslash = 0x5c;
const openMap = 0x7b;
const closeMap = 0x7d;
const openArray = 0x5b;
const closeArray = 0x5d;
const comma = 0x2c;
const colon = 0x3a;

/** JavaScript's largest number has 309 digits; a longer run of them may mean Infinity. */
const digitsAlwaysFinite = 308;

/** The value of a JSON text; the promises are those of `decode`. */
export function decodeJson(bytes: Uint8Array): unknown {
  const suspicious = checkJson(bytes);
  const value = parse(textOf(bytes));
  if (typeof value !== "object" || value === null) {
    throw rules.malformed(
      "it is neither a map nor an array",
      "the top",
      "Put the value into a map, under a name.",
    );
  }
  if (suspicious) inspect(value, false);
  return value;
}

// Reused by every check; a check never calls another and never waits.
const separators = new Int32Array(codecLimits.depthMax + 1);
const separatorsMax = new Int32Array(codecLimits.depthMax + 1);

/**
 * Walks the bytes before the parser sees them, and refuses what is nested or sized beyond the limits. Leaves
 * syntax to the parser. Returns whether the parsed value needs a closer look: an escape (which may spell a
 * forbidden key or a lone surrogate), a string as long as a forbidden key, a number that may be infinite.
 */
function checkJson(bytes: Uint8Array): boolean {
  let suspicious = false;
  let depth = 0;
  let values = 1;
  let previous = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    if (byte === quote) {
      const start = at + 1;
      for (at = start; at < bytes.length && bytes[at] !== quote; at += 1) {
        if (bytes[at] !== backslash) continue;
        suspicious = true;
        at += 1;
      }
      suspicious ||= mayBeForbidden(bytes[start], at - start);
    } else if (byte >= 0x30 && byte <= 0x39) {
      const start = at;
      while (isDigit(bytes[at + 1])) at += 1;
      if (at - start >= digitsAlwaysFinite || isExponent(bytes[at + 1])) suspicious = true;
    } else if (byte === openMap || byte === openArray) {
      if (depth === codecLimits.depthMax) throw rules.tooDeep(at);
      depth += 1;
      separators[depth] = 0;
      separatorsMax[depth] = (byte === openMap ? codecLimits.mapKeysMax : codecLimits.arrayElementsMax) - 1;
      values += 1;
    } else if (byte === comma) {
      if (++values > codecLimits.valuesMax) throw rules.tooManyValues(at);
      if (++separators[depth]! > separatorsMax[depth]!) {
        throw separatorsMax[depth] === codecLimits.mapKeysMax - 1
          ? rules.tooManyKeys(at)
          : rules.tooManyElements(at);
      }
    } else if (byte === colon) {
      if (++values > codecLimits.valuesMax) throw rules.tooManyValues(at);
    } else if (byte === closeMap || byte === closeArray) {
      // An empty map or array has no value in it, though its opening counted one.
      if (previous === openMap || previous === openArray) values -= 1;
      if (depth > 0) depth -= 1;
    } else if (byte <= 0x20) {
      continue;
    }
    previous = byte;
  }
  if (values > codecLimits.valuesMax) throw rules.tooManyValues(bytes.length);
  return suspicious;
}

/** Whether a string of this first letter and length may be `__proto__`, `prototype` or `constructor`. */
function mayBeForbidden(first: number | undefined, length: number): boolean {
  return (length === 9 && (first === 0x5f || first === 0x70)) || (length === 11 && first === 0x63);
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isExponent(byte: number | undefined): boolean {
  return byte === 0x65 || byte === 0x45;
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw rules.malformed("it is not valid UTF-8", firstInvalidUtf8(bytes), "Send the text as UTF-8.");
  }
}

/** The offset of the first byte that cannot be part of UTF-8 text; looked for only when there is one. */
function firstInvalidUtf8(bytes: Uint8Array): number {
  const replacement = "\uFFFD";
  const text = new TextDecoder().decode(bytes);
  let at = 0;
  let from = 0;
  for (let found = text.indexOf(replacement); found >= 0; found = text.indexOf(replacement, from)) {
    at += Buffer.byteLength(text.slice(from, found));
    const wasSent = bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd;
    if (!wasSent) break;
    at += 3;
    from = found + 1;
  }
  return at;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "";
    const position = /at position (\d+)/.exec(reason)?.[1];
    const where = position === undefined ? "some place" : `character ${position}`;
    throw rules.malformed(`it is not valid JSON: ${echo(reason)}`, where, "Send one valid JSON object.");
  }
}
