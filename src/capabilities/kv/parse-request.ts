import { kvLimits } from "../../limits.ts";
import { type Form, decode } from "../../protocol/codec.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import type { KvRequest } from "./contract.ts";
import { type KvLimits, exhausted, wrong } from "./failures.ts";

const fieldsOf: ReadonlyMap<string, readonly string[]> = new Map<KvRequest["operation"], string[]>([
  ["get", ["key"]],
  ["get-revision", ["key"]],
  ["set", ["key", "value"]],
  ["swap", ["key", "value", "revision"]],
  ["delete", ["key"]],
  ["exists", ["key"]],
  ["list", ["prefix", "limit", "after"]],
  ["increment", ["key", "by"]],
  ["get-many", ["keys"]],
  ["set-many", ["entries"]],
  ["delete-many", ["keys"]],
]);

/** Longer than any revision that a backend makes. */
const revisionCharactersMax = 64;

/**
 * Decodes and checks a request; throws INVALID_REQUEST that names the field, RESOURCE_EXHAUSTED for a page, a value
 * or a list of keys beyond `limits`.
 */
export function parseKvRequest(
  operation: string,
  payload: Uint8Array,
  limits: KvLimits = kvLimits,
): { request: KvRequest; form: Form } {
  const allowed = fieldsOf.get(operation);
  if (allowed === undefined) {
    const known = [...fieldsOf.keys()].join(", ");
    throw new Failure("INVALID_REQUEST", `kv has no operation ${echo(operation)}`, {
      fix: `Use one of ${known}.`,
    });
  }
  const { value, form } = decode(payload);
  if (Array.isArray(value)) throw wrong(operation, "the payload", "is an array", "Send a map.");
  const fields = value as Record<string, unknown>;
  assertFields(operation, "", fields, allowed);
  return { request: requestOf(operation as KvRequest["operation"], fields, limits), form };
}

function requestOf(
  operation: KvRequest["operation"],
  fields: Record<string, unknown>,
  limits: KvLimits,
): KvRequest {
  switch (operation) {
    case "get":
    case "get-revision":
    case "delete":
    case "exists":
      return { operation, key: keyOf(operation, "key", fields["key"]) };
    case "set":
      return {
        operation,
        key: keyOf(operation, "key", fields["key"]),
        value: valueOf(operation, "value", fields["value"], limits),
      };
    case "swap":
      return {
        operation,
        key: keyOf(operation, "key", fields["key"]),
        value: valueOf(operation, "value", fields["value"], limits),
        revision: revisionOf(fields["revision"]),
      };
    case "increment":
      return { operation, key: keyOf(operation, "key", fields["key"]), by: stepOf(fields["by"]) };
    case "list": {
      const { prefix, after } = fields;
      return {
        operation,
        prefix: prefix === undefined || prefix === "" ? "" : keyOf(operation, "prefix", prefix),
        limit: limitOf(operation, fields["limit"]),
        after: after === undefined ? undefined : keyOf(operation, "after", after),
      };
    }
    case "get-many":
      return { operation, keys: keysOf(operation, fields["keys"], limits) };
    case "delete-many":
      return { operation, keys: new Set(keysOf(operation, fields["keys"], limits)) };
    case "set-many":
      return { operation, entries: entriesOf(fields["entries"], limits) };
  }
}

function assertFields(
  operation: string,
  place: string,
  fields: Record<string, unknown>,
  allowed: readonly string[],
): void {
  for (const name of Object.keys(fields)) {
    if (allowed.includes(name)) continue;
    throw wrong(
      operation,
      `${place}${echo(name)}`,
      "is not a field",
      `The fields are ${allowed.join(", ")}.`,
    );
  }
}

function keyOf(operation: string, field: string, value: unknown): string {
  const max = kvLimits.keyBytesMax;
  const rule = `A key is a string of 1 to ${max} bytes of UTF-8, without NUL.`;
  if (typeof value !== "string") throw wrong(operation, field, `is not a string but ${echo(value)}`, rule);
  if (value === "") throw wrong(operation, field, "is empty", rule);
  // One unit of a string has at most three bytes: short keys, nearly all, are not measured.
  if (value.length > max || (value.length * 3 > max && Buffer.byteLength(value) > max)) {
    throw wrong(operation, field, `is longer than ${max} bytes: ${echo(value)}`, rule);
  }
  if (!value.isWellFormed()) throw wrong(operation, field, `has a lone surrogate: ${echo(value)}`, rule);
  if (value.includes("\0")) throw wrong(operation, field, `has a NUL: ${echo(value)}`, rule);
  return value;
}

function keysOf(operation: string, value: unknown, limits: KvLimits): string[] {
  return listOf(operation, "keys", value, limits).map((key, index) =>
    keyOf(operation, `keys[${index}]`, key),
  );
}

function entriesOf(value: unknown, limits: KvLimits): Map<string, Uint8Array> {
  const entries = new Map<string, Uint8Array>();
  let bytes = 0;
  for (const [index, entry] of listOf("set-many", "entries", value, limits).entries()) {
    const place = `entries[${index}]`;
    if (typeof entry !== "object" || entry === null || Array.isArray(entry) || entry instanceof Uint8Array) {
      throw wrong("set-many", place, `is ${echo(entry)}`, "An entry is a map of key and value.");
    }
    const fields = entry as Record<string, unknown>;
    assertFields("set-many", `${place}.`, fields, ["key", "value"]);
    const key = keyOf("set-many", `${place}.key`, fields["key"]);
    const held = valueOf("set-many", `${place}.value`, fields["value"], limits);
    bytes += Buffer.byteLength(key) + held.byteLength;
    if (bytes > limits.batchBytesMax) throw exhausted("batchBytesMax", limits, fewerAtOnce, "never");
    entries.set(key, held);
  }
  return entries;
}

/** What to do about a batch that is too large. */
export const fewerAtOnce = "Name fewer keys at a time.";

function listOf(operation: string, field: string, value: unknown, limits: KvLimits): unknown[] {
  if (!Array.isArray(value)) {
    throw wrong(operation, field, `is not an array but ${echo(value)}`, "Send an array.");
  }
  if (value.length > limits.batchKeysMax) throw exhausted("batchKeysMax", limits, fewerAtOnce, "never");
  return value;
}

function revisionOf(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value === "string" && value.length > 0 && value.length <= revisionCharactersMax) return value;
  const what = value === undefined ? "is missing" : `is no revision: ${echo(value)}`;
  throw wrong("swap", "revision", what, "Give what get-revision answered, or null if there must be no key.");
}

function stepOf(value: unknown): number {
  const by = value ?? 1;
  if (Number.isSafeInteger(by)) return by as number;
  const rule = "Give an integer within ±9007199254740991.";
  throw wrong("increment", "by", `is not an integer: ${echo(by)}`, rule);
}

function limitOf(operation: string, value: unknown): number {
  const limit = value ?? kvLimits.listKeysDefault;
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1) {
    const what = `is not an integer of at least 1: ${typeof limit === "number" ? limit : echo(limit)}`;
    throw wrong(operation, "limit", what, `Give 1 to ${kvLimits.listKeysMax}.`);
  }
  if (limit > kvLimits.listKeysMax) {
    throw new Failure(
      "RESOURCE_EXHAUSTED",
      `kv list: limit ${limit} exceeds listKeysMax, ${kvLimits.listKeysMax}`,
      {
        fix: `Ask for at most ${kvLimits.listKeysMax} keys, and for the next page with after.`,
        details: { limit: "listKeysMax", max: kvLimits.listKeysMax },
        retry: "never",
      },
    );
  }
  return limit;
}

function valueOf(operation: string, field: string, value: unknown, limits: KvLimits): Uint8Array {
  const bytes = bytesOf(operation, field, value);
  if (bytes.byteLength > limits.valueBytesMax) {
    throw exhausted("valueBytesMax", limits, "Split the value over several keys.", "never");
  }
  return bytes;
}

const utf8 = new TextEncoder();

function bytesOf(operation: string, field: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  // Not Buffer.from, whose result would keep the whole pool that it lies in.
  if (typeof value === "string") return utf8.encode(value);
  const rule = 'A value is bin, a string, or { "base64": "…" }.';
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(operation, field, `is ${echo(value)}`, rule);
  }
  const { base64, ...rest } = value as Record<string, unknown>;
  if (typeof base64 !== "string" || Object.keys(rest).length > 0) {
    throw wrong(operation, field, "is a map of something else than one base64 text", rule);
  }
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  // Node skips what is not base64; only an exact text comes back as it was.
  if (Buffer.from(bytes.buffer).toString("base64") !== base64) {
    const what = `is not base64: ${echo(base64)}`;
    throw wrong(operation, `${field}.base64`, what, "Use the standard alphabet, padded.");
  }
  return bytes;
}
