import { codecLimits } from "../limits.ts";
import * as rules from "./codec-rules.ts";
import { echo } from "./ids.ts";

/** What {@link inspect} learned about a value that can travel. */
export interface Inspection {
  /** Some map has a key whose value is `undefined`. */
  holdsUndefined: boolean;
}

interface Walk extends Inspection {
  readonly allowBytes: boolean;
  values: number;
}

/** Makes the failure of a flaw once the way to it is known. */
interface Flaw {
  readonly failure: (where: string) => Error;
  readonly path: string;
}

/**
 * Passes a value that can travel as a message; throws INVALID_REQUEST, with the path of the first flaw, for any
 * other. Bytes can travel where `allowBytes` says so. Ends on cyclic values too, by the limits of depth and size.
 */
export function inspect(value: unknown, allowBytes: boolean): Inspection {
  const walk: Walk = { allowBytes, values: 1, holdsUndefined: false };
  const flaw = flawOf(value, 0, walk);
  if (flaw !== undefined)
    throw flaw.failure(flaw.path === "" ? "the top" : echo(flaw.path.replace(/^\./, "")));
  return walk;
}

function flawOf(value: unknown, depth: number, walk: Walk): Flaw | undefined {
  switch (typeof value) {
    case "boolean":
      return undefined;
    case "string":
      return value.isWellFormed() ? undefined : here(loneSurrogate);
    case "number":
      return Number.isFinite(value) ? undefined : here(rules.notFinite);
    case "object":
      if (value === null) return undefined;
      if (value instanceof Uint8Array) return walk.allowBytes ? undefined : here(bytesInJson);
      if (depth === codecLimits.depthMax) return here(rules.tooDeep);
      if (Array.isArray(value)) return flawOfArray(value, depth + 1, walk);
      return flawOfMap(value as Record<string, unknown>, depth + 1, walk);
    case "bigint":
    case "function":
    case "symbol":
    case "undefined":
      return here((where) => cannotTravel(`a ${typeof value}`, where));
  }
}

function flawOfArray(array: readonly unknown[], depth: number, walk: Walk): Flaw | undefined {
  if (array.length > codecLimits.arrayElementsMax) return here(rules.tooManyElements);
  if ((walk.values += array.length) > codecLimits.valuesMax) return here(rules.tooManyValues);
  for (let index = 0; index < array.length; index += 1) {
    const flaw = flawOf(array[index], depth, walk);
    if (flaw !== undefined) return { ...flaw, path: `[${index}]${flaw.path}` };
  }
  return undefined;
}

function flawOfMap(map: Record<string, unknown>, depth: number, walk: Walk): Flaw | undefined {
  const prototype: unknown = Object.getPrototypeOf(map);
  if (prototype !== Object.prototype && prototype !== null) {
    return here((where) => cannotTravel("an instance of a class", where));
  }
  const keys = Object.keys(map);
  if (keys.length > codecLimits.mapKeysMax) return here(rules.tooManyKeys);
  if ((walk.values += 2 * keys.length) > codecLimits.valuesMax) return here(rules.tooManyValues);
  for (const key of keys) {
    if (rules.isForbiddenKey(key)) return { failure: rules.forbiddenKey, path: `.${key}` };
    if (!key.isWellFormed()) return { failure: loneSurrogate, path: `.${key}` };
    const value = map[key];
    if (value === undefined) walk.holdsUndefined = true;
    else {
      const flaw = flawOf(value, depth, walk);
      if (flaw !== undefined) return { ...flaw, path: `.${key}${flaw.path}` };
    }
  }
  return undefined;
}

function here(failure: Flaw["failure"]): Flaw {
  return { failure, path: "" };
}

function loneSurrogate(where: string) {
  return rules.malformed(
    "a string has a lone surrogate, which UTF-8 cannot express",
    where,
    "Send well-formed text.",
  );
}

function bytesInJson(where: string) {
  return rules.malformed("JSON has no bytes", where, "Write them as base64 text, or send MessagePack.");
}

function cannotTravel(what: string, where: string) {
  const fix = "Use maps, arrays, strings, finite numbers, booleans, null and, in MessagePack, bytes.";
  return rules.malformed(`${what} has no form in a message`, where, fix);
}
