import { isUtf8 } from "node:buffer";
import { kvLimits } from "../../limits.ts";
import { type Form, decode, encode } from "../../protocol/codec.ts";
import { Failure } from "../../protocol/errors.ts";
import { assertId, echo } from "../../protocol/ids.ts";
import type { CapabilityScope } from "../capability.ts";

/**
 * What a guest asks of a key-value store. The payload is a map of these fields without `operation`; a key has 1 to
 * 512 bytes of UTF-8 and no NUL.
 *
 * - `get { key }` → `{ value }`, null where there is none
 * - `set { key, value }` → `{}`
 * - `delete { key }` → `{ deleted }`, whether there was something to delete
 * - `exists { key }` → `{ exists }`
 * - `list { prefix?, limit?, after? }` → `{ keys, next? }`: keys in the order of their UTF-8 bytes, all behind
 *   `after`; where there are more, `next` is the `after` of the next page
 * - `increment { key, by? }` → `{ value }`: adds atomically to the integer whose decimal text is the value. A
 *   missing key counts from 0, `by` is 1 unless given.
 *
 * A value is bytes. In a request it is bin, a string (its UTF-8 bytes) or `{ "base64": "…" }`; in an answer it is
 * bin in MessagePack, and in JSON a string where it is UTF-8 and `{ "base64": "…" }` where it is not.
 */
export type KvRequest =
  | { readonly operation: "get" | "delete" | "exists"; readonly key: string }
  | { readonly operation: "set"; readonly key: string; readonly value: Uint8Array }
  | {
      readonly operation: "list";
      readonly prefix: string;
      readonly limit: number;
      readonly after: string | undefined;
    }
  | { readonly operation: "increment"; readonly key: string; readonly by: number };

/** The answers, in the order of {@link KvRequest}. */
export type KvReply =
  | { value: Uint8Array | null }
  | Record<string, never>
  | { deleted: boolean }
  | { exists: boolean }
  | { keys: string[]; next?: string }
  | { value: number };

const fieldsOf: ReadonlyMap<string, readonly string[]> = new Map<KvRequest["operation"], string[]>([
  ["get", ["key"]],
  ["set", ["key", "value"]],
  ["delete", ["key"]],
  ["exists", ["key"]],
  ["list", ["prefix", "limit", "after"]],
  ["increment", ["key", "by"]],
]);

/**
 * The bucket of a scope: `bucket` of its configuration, or its name, so that instances see each other's data only
 * where they share a name or an operator gave them the same bucket. Starts with the lattice.
 * Throws INVALID_REQUEST for what is not a legal id.
 */
export function kvBucket(scope: CapabilityScope): string {
  const bucket = scope.config["bucket"] ?? scope.name;
  assertId(scope.lattice, "lattice");
  assertId(bucket, "bucket");
  // A slash is in no id, so two pairs never make one bucket.
  return `${scope.lattice}/${bucket}`;
}

/** Decodes and checks a request; throws INVALID_REQUEST that names the field, RESOURCE_EXHAUSTED for a page. */
export function parseKvRequest(operation: string, payload: Uint8Array): { request: KvRequest; form: Form } {
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
  for (const name of Object.keys(fields)) {
    if (!allowed.includes(name)) {
      throw wrong(operation, echo(name), "is not a field", `The fields are ${allowed.join(", ")}.`);
    }
  }
  return { request: requestOf(operation as KvRequest["operation"], fields), form };
}

/** An answer in the form of its request. */
export function encodeKvReply(reply: KvReply, form: Form): Uint8Array {
  if (form === "json" && "value" in reply && reply.value instanceof Uint8Array) {
    return encode({ value: jsonValue(reply.value) }, form);
  }
  return encode(reply, form);
}

function requestOf(operation: KvRequest["operation"], fields: Record<string, unknown>): KvRequest {
  switch (operation) {
    case "get":
    case "delete":
    case "exists":
      return { operation, key: keyOf(operation, "key", fields["key"]) };
    case "set":
      return {
        operation,
        key: keyOf(operation, "key", fields["key"]),
        value: valueOf(operation, fields["value"]),
      };
    case "increment": {
      const by = fields["by"] ?? 1;
      if (!Number.isSafeInteger(by)) {
        throw wrong(
          operation,
          "by",
          `is not an integer: ${echo(by)}`,
          "Give an integer within ±9007199254740991.",
        );
      }
      return { operation, key: keyOf(operation, "key", fields["key"]), by: by as number };
    }
    case "list": {
      const { prefix, after } = fields;
      return {
        operation,
        prefix: prefix === undefined || prefix === "" ? "" : keyOf(operation, "prefix", prefix),
        limit: limitOf(operation, fields["limit"]),
        after: after === undefined ? undefined : keyOf(operation, "after", after),
      };
    }
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
  if (value.includes("\0")) throw wrong(operation, field, `has a NUL: ${echo(value)}`, rule);
  return value;
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

const utf8 = new TextEncoder();

function valueOf(operation: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  // Not Buffer.from, whose result would keep the whole pool that it lies in.
  if (typeof value === "string") return utf8.encode(value);
  const rule = 'A value is bin, a string, or { "base64": "…" }.';
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(operation, "value", `is ${echo(value)}`, rule);
  }
  const { base64, ...rest } = value as Record<string, unknown>;
  if (typeof base64 !== "string" || Object.keys(rest).length > 0) {
    throw wrong(operation, "value", "is a map of something else than one base64 text", rule);
  }
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  // Node skips what is not base64; only an exact text comes back as it was.
  if (Buffer.from(bytes.buffer).toString("base64") !== base64) {
    throw wrong(
      operation,
      "value.base64",
      `is not base64: ${echo(base64)}`,
      "Use the standard alphabet, padded.",
    );
  }
  return bytes;
}

function jsonValue(bytes: Uint8Array): string | { base64: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer) ? buffer.toString("utf8") : { base64: buffer.toString("base64") };
}

function wrong(operation: string, field: string, what: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", `kv ${operation}: ${field} ${what}`, { fix, details: { field } });
}

/** The decimal text of an integer, as `increment` writes it; 16 digits are enough for 2^53. */
const decimal = /^-?(?:0|[1-9][0-9]{0,15})$/;

/**
 * What `increment` makes of a stored value. Throws INVALID_REQUEST where it is not the decimal text of an integer, or
 * the sum is not an integer that a JavaScript number holds exactly.
 */
export function incremented(stored: Uint8Array | undefined, by: number, key: string): number {
  const text = stored === undefined ? "0" : Buffer.from(stored.subarray(0, 18)).toString("latin1");
  if (!decimal.test(text)) {
    const what = `${echo(key)} holds something else than the decimal text of an integer`;
    throw wrong("increment", "key", what, "Use another key, or set this one to an integer first.");
  }
  const sum = Number(text) + by;
  if (!Number.isSafeInteger(sum)) {
    const what = `would take key ${echo(key)} beyond ±9007199254740991`;
    throw wrong("increment", "by", what, "Set the key to a smaller number first.");
  }
  return sum;
}
