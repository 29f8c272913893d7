import { codecLimits } from "../limits.ts";
import { Failure } from "./errors.ts";

/**
 * Whether no map of a message may have this key: written into an object by a careless merge, it reaches that
 * object's prototype.
 */
export function isForbiddenKey(key: string): boolean {
  return key === "__proto__" || key === "constructor" || key === "prototype";
}

/** The INVALID_REQUEST of a message that is not of its form; `where` is the offset of a byte, or a path. */
export function malformed(what: string, where: number | string, fix: string): Failure {
  const place = typeof where === "number" ? `at byte ${where}` : `at ${where}`;
  return new Failure("INVALID_REQUEST", `the message is malformed ${place}: ${what}`, { fix });
}

/** A map or array inside `codecLimits.depthMax` others. */
export function tooDeep(where: number | string): Failure {
  return malformed(`it nests deeper than ${codecLimits.depthMax}`, where, "Send a flatter structure.");
}

/** A map with more than `codecLimits.mapKeysMax` keys. */
export function tooManyKeys(where: number | string): Failure {
  return malformed(`a map has more than ${codecLimits.mapKeysMax} keys`, where, "Split the map.");
}

/** An array with more than `codecLimits.arrayElementsMax` elements. */
export function tooManyElements(where: number | string): Failure {
  const what = `an array has more than ${codecLimits.arrayElementsMax} elements`;
  return malformed(what, where, "Send the elements in several messages.");
}

/** More than `codecLimits.valuesMax` keys and values in all. */
export function tooManyValues(where: number | string): Failure {
  const what = `it holds more than ${codecLimits.valuesMax} keys and values`;
  return malformed(what, where, "Send several messages.");
}

/** A key that {@link isForbiddenKey}. */
export function forbiddenKey(where: number | string): Failure {
  const what = "the keys __proto__, constructor and prototype are not allowed";
  return malformed(what, where, "Rename the key.");
}

/** NaN or an infinity. */
export function notFinite(where: number | string): Failure {
  return malformed("a number is not finite", where, "Send a finite number, or null.");
}
