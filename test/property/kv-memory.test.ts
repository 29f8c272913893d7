import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CapabilityScope } from "../../src/capabilities/capability.ts";
import { compareKeys } from "../../src/capabilities/kv/key-order.ts";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import { type Form, decode, encode } from "../../src/protocol/codec.ts";
import { errorBody } from "../../src/protocol/errors.ts";

/** Two that share a name, one apart, two that share a bucket by configuration, one of another lattice. */
const scopes: CapabilityScope[] = [
  { lattice: "default", instanceId: "a-1", name: "a", config: {} },
  { lattice: "default", instanceId: "a-2", name: "a", config: {} },
  { lattice: "default", instanceId: "b-1", name: "b", config: {} },
  { lattice: "default", instanceId: "c-1", name: "c", config: { bucket: "shared" } },
  { lattice: "default", instanceId: "d-1", name: "d", config: { bucket: "shared" } },
  { lattice: "other", instanceId: "a-1", name: "a", config: {} },
];

/** Which of the scopes share data: told here by hand, not computed as the code does. */
const sharedStore = [0, 0, 1, 2, 2, 3];

// Few keys and numbers, so that operations meet; some that JavaScript's own order would misplace.
const key = fc.constantFrom("a", "a/1", "a/2", "ab", "b", "\u{1f600}", "\ufb00", "é");
const value = fc.oneof(
  fc
    .constantFrom("0", "41", "-7", String(Number.MAX_SAFE_INTEGER), "text", "")
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);

type Step =
  | { operation: "get" | "delete" | "exists"; key: string }
  | { operation: "set"; key: string; value: Buffer }
  | { operation: "increment"; key: string; by: number }
  | { operation: "list"; prefix: string; limit: number; after: string | undefined };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ operation: fc.constantFrom("get", "delete", "exists"), key }),
  fc.record({ operation: fc.constant("set" as const), key, value }),
  fc.record({ operation: fc.constant("increment" as const), key, by: fc.integer({ min: -50, max: 50 }) }),
  fc.record({
    operation: fc.constant("list" as const),
    prefix: fc.constantFrom("", "a", "a/", "\u{1f600}", "z"),
    limit: fc.integer({ min: 1, max: 9 }),
    after: fc.option(key, { nil: undefined }),
  }),
);

const run = fc.record({
  scope: fc.nat({ max: scopes.length - 1 }),
  form: fc.constantFrom<Form>("json", "msgpack"),
  step,
});

describe("P19, R14.5: kv in memory agrees with a simple model, and no scope sees another's data", () => {
  test("for any sequence of operations over scopes that share and do not share a bucket", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(run, { minLength: 1, maxLength: 60 }), async (runs) => {
        const kv = createMemoryKv();
        const stores = Array.from({ length: 4 }, () => new Map<string, Buffer>());
        for (const { scope, form, step: current } of runs) {
          const expected = model(stores[sharedStore[scope]!]!, current);
          const answer = await kv
            .call(scopes[scope]!, current.operation, encode(payloadOf(current, form), form))
            .then(
              (bytes) => decode(bytes),
              (error: unknown) => ({ refused: errorBody(error, "").code }),
            );
          expect(answer).toEqual(
            expected === undefined ? { refused: "INVALID_REQUEST" } : { form, value: inForm(expected, form) },
          );
        }
        await kv.close();
      }),
      { numRuns: 300 },
    );
  });
});

test("R5.1: keys are ordered as their UTF-8 bytes are", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 6 }),
    fc.array(key, { maxLength: 3 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 1_000 },
  );
});

/** What the store must answer; undefined where it must refuse. */
function model(store: Map<string, Buffer>, current: Step): Record<string, unknown> | undefined {
  switch (current.operation) {
    case "get":
      return { value: store.get(current.key) ?? null };
    case "set":
      store.set(current.key, current.value);
      return {};
    case "delete":
      return { deleted: store.delete(current.key) };
    case "exists":
      return { exists: store.has(current.key) };
    case "increment": {
      const text = store.get(current.key)?.toString("latin1") ?? "0";
      const sum = Number(text) + current.by;
      if (String(Number(text)) !== text || !Number.isSafeInteger(sum)) return undefined;
      store.set(current.key, Buffer.from(String(sum)));
      return { value: sum };
    }
    case "list": {
      const bytes = (name: string) => Buffer.from(name);
      const wanted = [...store.keys()]
        .filter((name) => name.startsWith(current.prefix))
        .filter(
          (name) => current.after === undefined || Buffer.compare(bytes(name), bytes(current.after)) > 0,
        )
        .toSorted((a, b) => Buffer.compare(bytes(a), bytes(b)));
      const keys = wanted.slice(0, current.limit);
      return wanted.length > keys.length ? { keys, next: keys.at(-1) } : { keys };
    }
  }
}

function payloadOf(current: Step, form: Form): object {
  const fields = Object.fromEntries(Object.entries(current).filter(([name]) => name !== "operation"));
  if (current.operation !== "set" || form === "msgpack") return fields;
  return { ...fields, value: { base64: current.value.toString("base64") } };
}

function inForm(answer: Record<string, unknown>, form: Form): Record<string, unknown> {
  const { value: held } = answer;
  if (!(held instanceof Buffer)) return answer;
  if (form === "msgpack") return { value: new Uint8Array(held) };
  const text = held.toString("utf8");
  return { value: Buffer.from(text).equals(held) ? text : { base64: held.toString("base64") } };
}
