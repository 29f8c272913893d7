import fc from "fast-check";
import { parseBlobRequest } from "../../../../src/capabilities/blobstore/parse-request.ts";
import { parseHttpRequest } from "../../../../src/capabilities/http/parse-request.ts";
import { parseKvRequest } from "../../../../src/capabilities/kv/parse-request.ts";
import { parseMessagingRequest } from "../../../../src/capabilities/messaging/parse-request.ts";
import { blobLimits, httpClientLimits, kvLimits, messagingLimits } from "../../../../src/limits.ts";
import { decode, encode } from "../../../../src/protocol/codec.ts";
import { permissionSet } from "../../../../src/protocol/permissions.ts";
import { edit, edited } from "../bytes.ts";
import { takenOrRefused } from "../expect.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

const bytes = fc.uint8Array({ maxLength: 40 });
const odd = fc.oneof(
  anyText,
  bytes,
  fc.constantFrom<unknown>(0, 1, 100, -1, 0.5, 2 ** 53 - 1, null, "1", 1e300, 3_600_000, [], {}),
  fc.array(anyText, { maxLength: 4 }),
  fc.jsonValue({ maxDepth: 3 }),
);
const word = fc.oneof({ weight: 8, arbitrary: fc.constantFrom("a", "a/b", "orders.eu", "c-1") }, anyText);
const value = fc.oneof(bytes, word);
const key = { key: word };
const keys = { keys: fc.array(word, { minLength: 1, maxLength: 4 }) };
const object = { container: word, name: word };

/** Of each operation, the fields that it takes. */
const fieldsOf: Record<string, Record<string, fc.Arbitrary<unknown>>> = {
  get: key,
  "get-revision": key,
  exists: key,
  delete: key,
  set: { ...key, value },
  swap: { ...key, value, revision: fc.constantFrom(null, "1", "12345") },
  increment: { ...key, by: fc.integer() },
  list: { prefix: word, limit: fc.integer({ min: 1, max: 100 }), after: word },
  "get-many": keys,
  "delete-many": keys,
  "set-many": { entries: fc.array(fc.record({ key: word, value }), { maxLength: 4 }) },
  publish: { topic: word, body: value },
  request: {
    url: fc.constantFrom("https://api.example.com/x", "http://a.example"),
    method: fc.constantFrom("GET", "POST"),
    headers: fc.array(fc.tuple(fc.constantFrom("accept", "x-a"), word), { maxLength: 4 }),
    body: value,
    topic: word,
    timeoutMs: fc.integer({ min: 1, max: 9_000 }),
  },
  subscribe: { topic: word, queue: word },
  unsubscribe: { topic: word },
  "container-exists": { container: word },
  "list-objects": { container: word, limit: fc.integer({ min: 1, max: 9 }) },
  "get-object": { ...object, start: fc.nat(), end: fc.nat() },
  "put-object": { ...object, body: value },
  "delete-objects": { container: word, names: fc.array(word, { maxLength: 3 }) },
  "copy-object": { source: fc.record(object), destination: fc.record(object) },
  nothing: {},
};
const anyField = fc.constantFrom(
  ...new Set(Object.values(fieldsOf).flatMap((fields) => Object.keys(fields))),
  "__proto__",
  "x",
);

interface Call {
  readonly operation: string;
  readonly payload: Uint8Array;
}

const codes = ["INVALID_REQUEST", "RESOURCE_EXHAUSTED", "PAYLOAD_TOO_LARGE", "PERMISSION_DENIED"] as const;

/** The payloads of capability calls, as each provider type reads them, and what its permissions make of them. */
export const target = fuzzTarget<Call>({
  name: "capability-payloads",
  weight: 2,
  arbitrary: fc.oneof(...Object.entries(fieldsOf).map(([operation, fields]) => callsOf(operation, fields))),
  check({ operation, payload }) {
    const reads = [
      () => parseKvRequest(operation, payload, kvLimits),
      () => parseBlobRequest(operation, payload, blobLimits),
      () => parseMessagingRequest(operation, payload, messagingLimits),
      () => parseHttpRequest(payload, httpClientLimits),
    ];
    const results = reads.map((read: () => unknown) => takenOrRefused(codes, read));
    for (const [type, permissions] of narrowed)
      takenOrRefused(codes, () =>
        permissionSet(type, permissions).missing(operation, () => decode(payload).value),
      );
    return results.some((result) => result !== undefined);
  },
});

const narrowed: readonly (readonly [string, readonly string[]])[] = [
  ["kv", ["kv:read:a", "kv:write:a/", "kv:delete:b"]],
  ["http", ["http:domain:*.example.com"]],
  ["messaging", ["msg:publish:orders.*", "msg:subscribe:orders.>"]],
  ["blobstore", ["blob:read"]],
];

/** Right calls of an operation, and calls with one field wrong, one missing, or bytes changed. */
function callsOf(operation: string, fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Call> {
  return fc
    .record({
      map: fc.record(fields, { requiredKeys: Object.keys(fields).slice(0, 2), noNullPrototype: true }),
      form: fc.constantFrom("json", "msgpack", "msgpack"),
      damage: fc.constantFrom("none", "none", "field", "field", "bytes"),
      field: anyField,
      odd,
      edits: fc.array(edit, { minLength: 1, maxLength: 3 }),
    })
    .map(({ map, form, damage, field, odd, edits }) => {
      const payload = encodedOr(
        damage === "field" ? { ...map, [field]: odd } : map,
        form === "json" ? "json" : "msgpack",
      );
      return { operation, payload: damage === "bytes" ? edited(payload, edits) : payload };
    });
}

function encodedOr(map: Record<string, unknown>, form: "json" | "msgpack"): Uint8Array {
  try {
    return encode(map, form);
  } catch {
    return Buffer.from("{}");
  }
}
