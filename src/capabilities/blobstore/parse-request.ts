import { decode, type Form } from "../../protocol/codec.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import type { BlobRequest, ByteRange, ObjectAddress } from "./contract.ts";
import { type BlobLimits, exhausted, objectTooLarge, wrong } from "./failures.ts";

const fieldsOf: ReadonlyMap<string, readonly string[]> = new Map<BlobRequest["operation"], string[]>([
  ["create-container", ["container"]],
  ["delete-container", ["container"]],
  ["container-exists", ["container"]],
  ["container-info", ["container"]],
  ["clear-container", ["container"]],
  ["list-objects", ["container", "after", "limit"]],
  ["object-exists", ["container", "name"]],
  ["object-info", ["container", "name"]],
  ["delete-objects", ["container", "names"]],
  ["copy-object", ["from", "to"]],
  ["move-object", ["from", "to"]],
  ["get-object", ["container", "name", "start", "end"]],
  ["put-object", ["container", "name", "body", "stream"]],
]);

/**
 * Decodes and checks a request; throws INVALID_REQUEST that names the field, RESOURCE_EXHAUSTED for a page, a body or a
 * list of names beyond `limits`.
 */
export function parseBlobRequest(
  operation: string,
  payload: Uint8Array,
  limits: BlobLimits,
): { request: BlobRequest; form: Form } {
  const allowed = fieldsOf.get(operation);
  if (allowed === undefined) {
    throw new Failure("INVALID_REQUEST", `blobstore has no operation ${echo(operation)}`, {
      fix: `Use one of ${[...fieldsOf.keys()].join(", ")}.`,
    });
  }
  const { value, form } = decode(payload);
  const parser: Parser = { operation, limits, fields: fieldsIn(operation, "the payload", value, allowed) };
  return { request: requestOf(parser, operation as BlobRequest["operation"]), form };
}

interface Parser {
  readonly operation: string;
  readonly limits: BlobLimits;
  readonly fields: Record<string, unknown>;
}

function requestOf(parser: Parser, operation: BlobRequest["operation"]): BlobRequest {
  const { fields } = parser;
  switch (operation) {
    case "create-container":
    case "delete-container":
    case "container-exists":
    case "container-info":
    case "clear-container":
      return { operation, container: containerOf(parser) };
    case "list-objects": {
      const { after } = fields;
      return {
        operation,
        container: containerOf(parser),
        limit: limitOf(parser),
        after: after === undefined ? undefined : objectNameOf(parser, "after", after),
      };
    }
    case "object-exists":
    case "object-info":
      return { operation, ...addressOf(parser) };
    case "delete-objects":
      return { operation, container: containerOf(parser), names: namesOf(parser) };
    case "copy-object":
    case "move-object":
      return { operation, from: nestedAddress(parser, "from"), to: nestedAddress(parser, "to") };
    case "get-object":
      return { operation, ...addressOf(parser), ...rangeOf(parser) };
    case "put-object":
      return { operation, ...addressOf(parser), body: bodyOf(parser) };
  }
}

function fieldsIn(
  operation: string,
  place: string,
  value: unknown,
  allowed: readonly string[],
): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw wrong(operation, place, `is not a map but ${echo(value)}`, `Send a map of ${allowed.join(", ")}.`);
  }
  for (const name of Object.keys(value)) {
    if (allowed.includes(name)) continue;
    throw wrong(operation, echo(name), "is not a field", `The fields are ${allowed.join(", ")}.`);
  }
  return value as Record<string, unknown>;
}

function containerOf({ operation, limits, fields }: Parser, field = "container"): string {
  return nameOf(operation, field, fields["container"], limits.containerNameBytesMax);
}

function objectNameOf({ operation, limits }: Parser, field: string, value: unknown): string {
  return nameOf(operation, field, value, limits.objectNameBytesMax);
}

function addressOf(parser: Parser, place = ""): ObjectAddress {
  return {
    container: containerOf(parser, `${place}container`),
    name: objectNameOf(parser, `${place}name`, parser.fields["name"]),
  };
}

function nestedAddress(parser: Parser, field: "from" | "to"): ObjectAddress {
  const fields = fieldsIn(parser.operation, field, parser.fields[field], ["container", "name"]);
  return addressOf({ ...parser, fields }, `${field}.`);
}

function nameOf(operation: string, field: string, value: unknown, bytesMax: number): string {
  const rule = `A name is a string of 1 to ${bytesMax} bytes of UTF-8, without NUL.`;
  if (typeof value !== "string") throw wrong(operation, field, `is not a string but ${echo(value)}`, rule);
  if (value === "") throw wrong(operation, field, "is empty", rule);
  if (value.length > bytesMax || Buffer.byteLength(value) > bytesMax) {
    throw wrong(operation, field, `is longer than ${bytesMax} bytes: ${echo(value)}`, rule);
  }
  if (!value.isWellFormed()) throw wrong(operation, field, `has a lone surrogate: ${echo(value)}`, rule);
  if (value.includes("\0")) throw wrong(operation, field, `has a NUL: ${echo(value)}`, rule);
  return value;
}

function namesOf(parser: Parser): Set<string> {
  const { operation, limits, fields } = parser;
  const { names } = fields;
  if (!Array.isArray(names)) {
    throw wrong(operation, "names", `is not an array but ${echo(names)}`, "Send an array of names.");
  }
  if (names.length > limits.batchNamesMax) {
    throw exhausted("batchNamesMax", limits, "Name fewer objects at a time.", "never");
  }
  return new Set(names.map((name, index) => objectNameOf(parser, `names[${index}]`, name)));
}

function limitOf({ operation, limits, fields }: Parser): number {
  const limit = fields["limit"] ?? limits.listObjectsDefault;
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1) {
    const shown = typeof limit === "number" ? limit : echo(limit);
    throw wrong(
      operation,
      "limit",
      `is not an integer of at least 1: ${shown}`,
      `Give 1 to ${limits.listObjectsMax}.`,
    );
  }
  if (limit <= limits.listObjectsMax) return limit;
  throw exhausted("listObjectsMax", limits, "Ask for fewer, and for the next page with after.", "never");
}

function rangeOf(parser: Parser): ByteRange {
  const start = offsetOf(parser, "start") ?? 0;
  const end = offsetOf(parser, "end");
  if (end === undefined || end >= start) return { start, end };
  throw wrong(parser.operation, "end", `is before start: ${end} < ${start}`, "Both offsets are inclusive.");
}

function offsetOf({ operation, fields }: Parser, field: "start" | "end"): number | undefined {
  const offset = fields[field];
  if (offset === undefined) return undefined;
  if (Number.isSafeInteger(offset) && (offset as number) >= 0) return offset as number;
  const shown = typeof offset === "number" ? offset : echo(offset);
  throw wrong(operation, field, `is not an offset: ${shown}`, "Give an integer from 0 to 9007199254740991.");
}

function bodyOf({ operation, limits, fields }: Parser): Uint8Array | { stream: string } {
  const { body, stream } = fields;
  if ((body === undefined) === (stream === undefined)) {
    const what = body === undefined ? "is missing, and so is stream" : "is there, and so is stream";
    throw wrong(operation, "body", what, "Send one of them.");
  }
  if (body === undefined) {
    if (typeof stream === "string") return { stream };
    throw wrong(
      operation,
      "stream",
      `is not a string but ${echo(stream)}`,
      "Send the reference of a stream.",
    );
  }
  const bytes = bytesOf(operation, body);
  if (bytes.byteLength > limits.objectBytesMax) throw objectTooLarge(limits);
  return bytes;
}

const utf8 = new TextEncoder();

function bytesOf(operation: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return utf8.encode(value);
  const rule = 'A body is bin, a string, or { "base64": "…" }.';
  const { base64 } = fieldsIn(operation, "body", value, ["base64"]);
  if (typeof base64 !== "string") throw wrong(operation, "body", "is a map without a base64 text", rule);
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  // Node skips what is not base64; only an exact text comes back as it was.
  if (Buffer.from(bytes.buffer).toString("base64") === base64) return bytes;
  const what = `is not base64: ${echo(base64)}`;
  throw wrong(operation, "body.base64", what, "Use the standard alphabet, padded.");
}
