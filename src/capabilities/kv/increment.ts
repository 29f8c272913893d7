import { echo } from "../../protocol/ids.ts";
import { wrong } from "./failures.ts";

/** The decimal text of an integer, as `increment` writes it; 16 digits are enough for 2^53. */
const decimal = /^-?(?:0|[1-9][0-9]{0,15})$/;

/**
 * What `increment` makes of a stored value. Throws INVALID_REQUEST where it is not the decimal text of an integer, or
 * the sum is not an integer that a JavaScript number holds exactly.
 */
export function incremented(stored: Uint8Array | undefined, by: number, key: string): number {
  const text = stored === undefined ? "0" : Buffer.from(stored.subarray(0, 18)).toString("latin1");
  if (!decimal.test(text)) throw notAnInteger(key);
  const sum = Number(text) + by;
  if (!Number.isSafeInteger(sum)) throw beyondRange(key);
  return sum;
}

/** The stored value cannot be counted with. */
export function notAnInteger(key: string) {
  const what = `${echo(key)} holds something else than the decimal text of an integer`;
  return wrong("increment", "key", what, "Use another key, or set this one to an integer first.");
}

/** The sum is no integer that every language with doubles holds exactly. */
export function beyondRange(key: string) {
  const what = `would take key ${echo(key)} beyond ±9007199254740991`;
  return wrong("increment", "by", what, "Set the key to a smaller number first.");
}
