import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Capability, CapabilityScope } from "../../src/capabilities/capability.ts";
import { type Form, decode, encode } from "../../src/protocol/codec.ts";
import { errorBody } from "../../src/protocol/errors.ts";
import { capabilityScope } from "../support/capability-scope.ts";
import { type KvModel, type Step, createKvModel } from "./kv-model.ts";

/** Two that share a name, one apart, two that share a bucket by configuration, one of another lattice. */
const scopes: ((run: string) => CapabilityScope)[] = [
  (run) => capabilityScope({ lattice: run, instanceId: "a-1", name: "a" }),
  (run) => capabilityScope({ lattice: run, instanceId: "a-2", name: "a" }),
  (run) => capabilityScope({ lattice: run, instanceId: "b-1", name: "b" }),
  (run) => capabilityScope({ lattice: run, instanceId: "c-1", name: "c", config: { bucket: "shared" } }),
  (run) => capabilityScope({ lattice: run, instanceId: "d-1", name: "d", config: { bucket: "shared" } }),
  (run) => capabilityScope({ lattice: `${run}_a`, instanceId: "a-1", name: "a" }),
];

/** Which of the scopes share data: told here by hand, not computed as the code does. */
const sharedStore = [0, 0, 1, 2, 2, 3];

// Few keys and numbers, so that operations meet; some that JavaScript's own order would misplace, or that a backend
// whose names have separators would take one for another.
const key = fc.constantFrom(
  "a",
  "a/1",
  "a/2",
  "a/",
  "a.1",
  "a=2F1",
  "ab",
  "b",
  "\u{1f600}",
  "\ufb00",
  "é",
  "*",
);
const value = fc.oneof(
  fc
    .constantFrom("0", "41", "-7", "-0", String(Number.MAX_SAFE_INTEGER), "text", "", "1:2", "0x1")
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ operation: fc.constantFrom("get", "delete", "exists", "get-revision"), key }),
  fc.record({ operation: fc.constant("set" as const), key, value }),
  fc.record({
    operation: fc.constant("swap" as const),
    key,
    value,
    revision: fc.constantFrom("present", "past", "none", "made up"),
  }),
  fc.record({ operation: fc.constant("increment" as const), key, by: fc.integer({ min: -50, max: 50 }) }),
  fc.record({
    operation: fc.constant("list" as const),
    prefix: fc.constantFrom("", "a", "a/", "\u{1f600}", "z"),
    limit: fc.integer({ min: 1, max: 9 }),
    after: fc.option(key, { nil: undefined }),
  }),
  fc.record({
    operation: fc.constantFrom("get-many", "delete-many"),
    keys: fc.uniqueArray(key, { maxLength: 5 }),
  }),
  fc.record({
    operation: fc.constant("set-many" as const),
    entries: fc.array(fc.record({ key, value }), { maxLength: 5 }),
  }),
);

const turn = fc.record({
  scope: fc.nat({ max: scopes.length - 1 }),
  form: fc.constantFrom<Form>("json", "msgpack"),
  step,
});

let runs = 0;

/**
 * The properties that every kv backend has. `open` gives two doors to one store, which may be the same; every run
 * takes a lattice of its own.
 */
export function describeKvProperties(
  backend: string,
  open: () => Promise<readonly [Capability, Capability]>,
  numRuns: number,
): void {
  describe(`kv in ${backend}`, () => {
    test("P19, R14.5: for any history it agrees with a simple model, and no scope sees another's data", async () => {
      const doors = await open();
      await fc.assert(
        fc.asyncProperty(fc.array(turn, { minLength: 1, maxLength: 60 }), async (turns) => {
          const lattice = `run${(runs += 1)}`;
          const models = Array.from({ length: 4 }, () => createKvModel());
          for (const [index, { scope, form, step: current }] of turns.entries()) {
            const model = models[sharedStore[scope]!]!;
            await takeTurn(doors[index % 2]!, scopes[scope]!(lattice), form, current, model);
          }
        }),
        { numRuns },
      );
      await Promise.all(doors.map((door) => door.close()));
    });

    test("R5.4: for any increments and swaps at once, through two doors, no update is lost", async () => {
      const doors = await open();
      const addition = fc.record({
        key: fc.constantFrom("n", "m/1"),
        by: fc.integer({ min: -9, max: 9 }),
        bySwap: fc.boolean(),
        door: fc.nat({ max: 1 }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(addition, { minLength: 2, maxLength: 16 }), async (additions) => {
          const scope = scopes[0]!(`run${(runs += 1)}`);
          await Promise.all(
            additions.map(({ key: name, by, bySwap, door }) =>
              (bySwap ? addBySwap : increment)(doors[door]!, scope, name, by),
            ),
          );
          for (const name of new Set(additions.map((one) => one.key))) {
            const expected = additions.filter((one) => one.key === name).reduce((sum, { by }) => sum + by, 0);
            const { value: text } = await ask(doors[0], scope, "json", "get", { key: name });
            expect(text).toBe(String(expected));
          }
        }),
        { numRuns },
      );
      await Promise.all(doors.map((door) => door.close()));
    });
  });
}

async function takeTurn(
  kv: Capability,
  scope: CapabilityScope,
  form: Form,
  current: Step,
  model: KvModel,
): Promise<void> {
  let named: string | null = null;
  if (current.operation === "swap") {
    const held = await ask(kv, scope, "msgpack", "get-revision", { key: current.key });
    expect(held["value"]).toEqual(inForm(model.values.get(current.key) ?? null, "msgpack"));
    model.learn(current.key, held);
    named = model.choose(current.key, current.revision);
  }
  const expected = model.answer(current, named);
  const payload = encode(payloadOf(current, named, form), form);
  const answer = await kv.call(scope, current.operation, payload).then(
    (bytes) => decode(bytes),
    (error: unknown) => ({ refused: errorBody(error, "").code }),
  );
  expect(answer).toEqual(
    expected === undefined ? { refused: "INVALID_REQUEST" } : { form, value: inForm(expected, form) },
  );
  if (expected === undefined || !("key" in current)) return;
  model.learn(current.key, (answer as { value: Record<string, unknown> }).value);
}

async function ask(kv: Capability, scope: CapabilityScope, form: Form, operation: string, fields: object) {
  return decode(await kv.call(scope, operation, encode(fields, form))).value as Record<string, unknown>;
}

async function increment(kv: Capability, scope: CapabilityScope, name: string, by: number): Promise<void> {
  await ask(kv, scope, "json", "increment", { key: name, by });
}

async function addBySwap(kv: Capability, scope: CapabilityScope, name: string, by: number): Promise<void> {
  let held = await ask(kv, scope, "json", "get-revision", { key: name });
  for (;;) {
    const sum = String(Number(held["value"] ?? "0") + by);
    const fields = { key: name, value: sum, revision: held["revision"] };
    held = await ask(kv, scope, "json", "swap", fields);
    if (held["swapped"] === true) return;
  }
}

function payloadOf(current: Step, named: string | null, form: Form): object {
  const { operation: _, ...fields } =
    current.operation === "swap" ? { ...current, revision: named } : current;
  if (form === "msgpack") return fields;
  const inJson = ({ value: bytes }: { value: Buffer }) => ({ base64: bytes.toString("base64") });
  if (current.operation === "set" || current.operation === "swap") {
    return { ...fields, value: inJson(current) };
  }
  if (current.operation !== "set-many") return fields;
  return { entries: current.entries.map((entry) => ({ key: entry.key, value: inJson(entry) })) };
}

/** What stands in an answer, with its bytes as that form has them. */
function inForm(answer: unknown, form: Form): unknown {
  if (Buffer.isBuffer(answer)) {
    if (form === "msgpack") return new Uint8Array(answer);
    const text = answer.toString("utf8");
    return Buffer.from(text).equals(answer) ? text : { base64: answer.toString("base64") };
  }
  if (Array.isArray(answer)) return answer.map((one) => inForm(one, form));
  // A matcher of vitest is an instance of a class.
  if (answer === null || Object.getPrototypeOf(answer) !== Object.prototype) return answer;
  const entries = Object.entries(answer as object);
  return Object.fromEntries(entries.map(([name, one]) => [name, inForm(one, form)]));
}
