import { codecLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import type { NamedType, PrimitiveKind, WitFunction, WitType } from "./wit-type.ts";
import { camelCase } from "./wit-names.ts";

/** Smallest and largest of each kind of integer. */
const integers: Partial<Record<PrimitiveKind, readonly [min: bigint, max: bigint]>> = {
  s8: [-128n, 127n],
  u8: [0n, 255n],
  s16: [-32_768n, 32_767n],
  u16: [0n, 65_535n],
  s32: [-2_147_483_648n, 2_147_483_647n],
  u32: [0n, 4_294_967_295n],
  s64: [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n],
  u64: [0n, 18_446_744_073_709_551_615n],
};

/** As what generated code takes a list of numbers. */
const arrays = {
  u8: Uint8Array,
  s8: Int8Array,
  u16: Uint16Array,
  s16: Int16Array,
  u32: Uint32Array,
  s32: Int32Array,
  u64: BigUint64Array,
  s64: BigInt64Array,
  f32: Float32Array,
  f64: Float64Array,
} as const;

/**
 * The arguments of a call out of a message: one value for each parameter, as generated code takes them. Throws
 * INVALID_REQUEST that names the value which does not fit.
 */
export function argumentsOf({ parameters }: WitFunction, message: unknown, operation: string): unknown[] {
  if (!Array.isArray(message) || message.length !== parameters.length) {
    const names = parameters.map(({ name }) => name).join(", ");
    throw new Failure("INVALID_REQUEST", `${operation} takes ${parameters.length} arguments`, {
      fix: `Send an array of them: [${names}]. No payload at all is an empty array.`,
    });
  }
  return parameters.map(({ name, type }, index) => fromMessage(type, message[index], name));
}

/**
 * A value out of a message as generated code takes it. 64-bit integers may be decimal text, bytes may be text, a
 * list of numbers or `{ base64 }`, an option that is none may be null or missing. Throws INVALID_REQUEST that says where, and what.
 */
export function fromMessage(type: WitType, value: unknown, where: string): unknown {
  switch (type.kind) {
    case "bool":
      return typeof value === "boolean" ? value : wrong(value, where, "true or false");
    case "string":
      return typeof value === "string" ? value : wrong(value, where, "text");
    case "char":
      return typeof value === "string" && isOneCharacter(value)
        ? value
        : wrong(value, where, "one character");
    case "f32":
    case "f64":
      return floatOf(value, where);
    case "list":
      return listOf(type.of, value, where);
    case "tuple":
      return entriesOf(value, where, type.of.length).map((entry, index) =>
        fromMessage(type.of[index] as WitType, entry, `${where}[${index}]`),
      );
    case "record":
      return recordOf(type.fields, value, where);
    case "option":
      return optionOf(type.of, value, where);
    case "variant":
      return taggedOf(type.cases, value, where);
    case "result":
      return taggedOf(resultCases(type), value, where);
    case "enum":
      return typeof value === "string" && type.names.includes(value)
        ? value
        : wrong(value, where, `one of ${type.names.slice(0, 16).join(", ")}`);
    case "flags":
      return flagsOf(type.names, value, where);
    case "resource":
      return wrong(value, where, "a handle, which no message can hold");
    case "s8":
    case "u8":
    case "s16":
    case "u16":
    case "s32":
    case "u32":
    case "s64":
    case "u64":
      return integerOf(type.kind, value, where);
  }
}

/** The cases of a result as those of a variant. */
export function resultCases(type: Extract<WitType, { kind: "result" }>) {
  return [
    { name: "ok", ...(type.ok === undefined ? {} : { type: type.ok }) },
    { name: "err", ...(type.err === undefined ? {} : { type: type.err }) },
  ];
}

function integerOf(kind: PrimitiveKind, value: unknown, where: string): number | bigint {
  const [min, max] = integers[kind] as readonly [bigint, bigint];
  const isInteger =
    Number.isSafeInteger(value) ||
    typeof value === "bigint" ||
    // Twenty characters hold every 64-bit integer.
    (typeof value === "string" && /^-?[0-9]{1,20}$/.test(value));
  const number = isInteger ? BigInt(value as number | bigint | string) : undefined;
  if (number === undefined || number < min || number > max) {
    return wrong(value, where, `an integer from ${min} to ${max}`);
  }
  return kind === "u64" || kind === "s64" ? number : Number(number);
}

function isOneCharacter(text: string): boolean {
  const character = text.codePointAt(0);
  return character !== undefined && text === String.fromCodePoint(character);
}

function floatOf(value: unknown, where: string): number {
  if (typeof value === "number") return value;
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  return wrong(value, where, "a number");
}

function listOf(of: WitType, value: unknown, where: string): unknown {
  if (of.kind === "u8") {
    if (value instanceof Uint8Array) return value;
    if (typeof value === "string") return new TextEncoder().encode(value);
    if (isBase64(value)) return new Uint8Array(Buffer.from(value.base64, "base64"));
  }
  const entries = entriesOf(value, where).map((entry, index) => fromMessage(of, entry, `${where}[${index}]`));
  if (!(of.kind in arrays)) return entries;
  const typed: { from(list: unknown[]): unknown } = arrays[of.kind as keyof typeof arrays] as never;
  return typed.from(entries);
}

function isBase64(value: unknown): value is { base64: string } {
  return typeof value === "object" && value !== null && "base64" in value && typeof value.base64 === "string";
}

function entriesOf(value: unknown, where: string, length?: number): unknown[] {
  if (Array.isArray(value) && (length === undefined || value.length === length)) return value as unknown[];
  return wrong(value, where, length === undefined ? "an array" : `an array of ${length}`);
}

/** Its keys are as in WIT or in camel case; what it does not know, it refuses. */
function recordOf(fields: readonly NamedType[], value: unknown, where: string): Record<string, unknown> {
  const map = mapOf(value, where);
  const record: Record<string, unknown> = {};
  let known = 0;
  for (const { name, type } of fields) {
    const key = camelCase(name);
    const given = Object.hasOwn(map, key) ? key : name;
    if (Object.hasOwn(map, given)) known += 1;
    record[key] = fromMessage(type, Object.hasOwn(map, given) ? map[given] : undefined, `${where}.${key}`);
  }
  if (known === Object.keys(map).length) return record;
  const keys = fields.map(({ name }) => camelCase(name)).join(", ");
  return wrong(value, where, `a map with no other keys than ${keys}`);
}

/** An option within an option needs a tag to tell none of the one from none of the other. */
function optionOf(of: WitType, value: unknown, where: string): unknown {
  const isNone = value === undefined || value === null;
  if (of.kind !== "option") return isNone ? undefined : fromMessage(of, value, where);
  if (isNone) return { tag: "none" };
  return taggedOf([{ name: "none" }, { name: "some", type: of }], value, where);
}

function taggedOf(
  cases: readonly { name: string; type?: WitType }[],
  value: unknown,
  where: string,
): unknown {
  const map = typeof value === "string" ? { tag: value } : mapOf(value, where);
  const found = cases.find(({ name }) => name === map["tag"]);
  if (found === undefined) {
    const names = cases.slice(0, 16).map(({ name }) => name);
    return wrong(map["tag"], `${where}.tag`, `one of ${names.join(", ")}`);
  }
  if (found.type === undefined) return { tag: found.name };
  return { tag: found.name, val: fromMessage(found.type, map["val"], `${where}.val`) };
}

function flagsOf(names: readonly string[], value: unknown, where: string): Record<string, boolean> {
  const isList = Array.isArray(value);
  const map: Record<string, unknown> = isList
    ? Object.fromEntries(value.map((name) => [String(name), true]))
    : mapOf(value, where);
  const flags: Record<string, boolean> = {};
  let known = 0;
  for (const name of names) {
    const key = camelCase(name);
    const given = Object.hasOwn(map, key) ? key : name;
    if (Object.hasOwn(map, given)) known += 1;
    flags[key] = Object.hasOwn(map, given) && map[given] === true;
  }
  if (known === Object.keys(map).length) return flags;
  return wrong(value, where, `no other flags than ${names.join(", ")}`);
}

function mapOf(value: unknown, where: string): Record<string, unknown> {
  const isMap =
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  return isMap ? (value as Record<string, unknown>) : wrong(value, where, "a map");
}

function wrong(value: unknown, where: string, wanted: string): never {
  const shown =
    typeof value === "number" || typeof value === "bigint" ? `${value}`.slice(0, 32) : echo(value);
  throw new Failure(
    "INVALID_REQUEST",
    `${where.slice(0, 256)} is ${shown}, it must be ${wanted.slice(0, 512)}`,
    {
      fix: "See what the component exports: wasmatrix inspect <file>",
    },
  );
}

/**
 * A value of generated code as it travels: 64-bit integers that no JavaScript number holds are decimal text, floats
 * that are not finite their names, an option that is none is null, bytes a copy.
 * Throws PAYLOAD_TOO_LARGE for a list that no message may hold.
 */
export function toMessage(type: WitType, value: unknown): unknown {
  switch (type.kind) {
    case "u64":
    case "s64":
      return wideInteger(value as bigint);
    case "f32":
    case "f64":
      return Number.isFinite(value) ? value : String(value);
    case "list":
      return listToMessage(type.of, value as ArrayLike<unknown>);
    case "tuple":
      return type.of.map((of, index) => toMessage(of, (value as unknown[])[index]));
    case "record": {
      const record = value as Record<string, unknown>;
      return Object.fromEntries(
        type.fields.map(({ name, type: of }) => [camelCase(name), toMessage(of, record[camelCase(name)])]),
      );
    }
    case "option":
      if (type.of.kind === "option") return taggedToMessage([{ name: "some", type: type.of }], value);
      return value === undefined || value === null ? null : toMessage(type.of, value);
    case "variant":
      return taggedToMessage(type.cases, value);
    case "result":
      return taggedToMessage(resultCases(type), value);
    case "resource":
      return null;
    case "bool":
    case "s8":
    case "u8":
    case "s16":
    case "u16":
    case "s32":
    case "u32":
    case "char":
    case "string":
    case "enum":
    case "flags":
      return value;
  }
}

function wideInteger(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function listToMessage(of: WitType, list: ArrayLike<unknown>): unknown {
  // Lists of generated code may be views of the guest's memory.
  if (of.kind === "u8") return Uint8Array.from(list as Uint8Array);
  if (list.length > codecLimits.arrayElementsMax) {
    throw new Failure(
      "PAYLOAD_TOO_LARGE",
      `the guest answered with a list of ${list.length}, a message holds ${codecLimits.arrayElementsMax}`,
      { fix: "Have the guest answer in pages, or with bytes." },
    );
  }
  return Array.from(list, (entry) => toMessage(of, entry));
}

function taggedToMessage(cases: readonly { name: string; type?: WitType }[], value: unknown): unknown {
  const { tag, val } = value as { tag: string; val?: unknown };
  const type = cases.find(({ name }) => name === tag)?.type;
  return type === undefined ? { tag } : { tag, val: toMessage(type, val) };
}
