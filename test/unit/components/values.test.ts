import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, type Form } from "../../../src/protocol/codec.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { decodeArguments, decodeValue, encodeValue } from "../../../src/wasm/components/value-codec.ts";
import { argumentsOf, fromMessage, toMessage } from "../../../src/wasm/components/values.ts";
import { signatureText } from "../../../src/wasm/components/wit-text.ts";
import type { WitType } from "../../../src/wasm/components/wit-type.ts";

/** A type, and values of it as generated code has them. */
interface Typed {
  readonly type: WitType;
  readonly values: fc.Arbitrary<unknown>;
}

const int = (kind: "s8" | "u8" | "s16" | "u16" | "s32" | "u32", min: number, max: number): Typed => ({
  type: { kind },
  values: fc.integer({ min, max }),
});

const leaves: readonly Typed[] = [
  { type: { kind: "bool" }, values: fc.boolean() },
  int("s8", -128, 127),
  int("u16", 0, 65_535),
  int("s32", -2_147_483_648, 2_147_483_647),
  int("u32", 0, 4_294_967_295),
  { type: { kind: "u64" }, values: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
  { type: { kind: "s64" }, values: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
  { type: { kind: "f64" }, values: fc.double().map((value) => (value === 0 ? 0 : value)) },
  { type: { kind: "char" }, values: fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 1 }) },
  { type: { kind: "string" }, values: fc.string({ unit: "grapheme" }) },
  { type: { kind: "enum", names: ["red", "light-blue"] }, values: fc.constantFrom("red", "light-blue") },
  {
    type: { kind: "flags", names: ["can-read", "write"] },
    values: fc.record({ canRead: fc.boolean(), write: fc.boolean() }),
  },
  { type: { kind: "list", of: { kind: "u8" } }, values: fc.uint8Array() },
  { type: { kind: "list", of: { kind: "s32" } }, values: fc.int32Array() },
  { type: { kind: "list", of: { kind: "u64" } }, values: fc.bigUint64Array() },
];

const typed: fc.Arbitrary<Typed> = fc.letrec<{ any: Typed }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom(...leaves),
    tie("any").map(({ type, values }) => ({
      type: { kind: "list", of: wrapped(type) } as const,
      values: fc.array(values.map(wrap)),
    })),
    tie("any").map(optional),
    fc.tuple(tie("any"), tie("any")).map(([one, other]) => ({
      type: { kind: "tuple", of: [one.type, other.type] } as const,
      values: fc.tuple(one.values, other.values),
    })),
    fc.tuple(tie("any"), tie("any")).map(([one, other]) => ({
      type: {
        kind: "record",
        fields: [
          { name: "some-thing", type: one.type },
          { name: "x", type: other.type },
        ],
      } as const,
      values: fc.record({ someThing: one.values, x: other.values }),
    })),
    fc.tuple(tie("any"), tie("any")).map(([one, other]) => ({
      type: { kind: "result", ok: one.type, err: other.type } as const,
      values: fc.oneof(
        one.values.map((val) => ({ tag: "ok", val })),
        other.values.map((val) => ({ tag: "err", val })),
      ),
    })),
    tie("any").map(({ type, values }) => ({
      type: { kind: "variant", cases: [{ name: "none-such" }, { name: "one", type }] } as const,
      values: fc.oneof(
        fc.constant({ tag: "none-such" }),
        values.map((val) => ({ tag: "one", val })),
      ),
    })),
  ),
})).any;

/** A list of numbers is an array of its own kind, which the leaves have; in a tuple it is an ordinary list. */
function wrapped(type: WitType): WitType {
  return { kind: "tuple", of: [type] };
}

function wrap(value: unknown): unknown {
  return [value];
}

function optional({ type, values }: Typed): Typed {
  const isNested = type.kind === "option";
  const none = fc.constant(isNested ? { tag: "none" } : undefined);
  const some = isNested ? values.map((val) => ({ tag: "some", val })) : values;
  return { type: { kind: "option", of: type }, values: fc.oneof(none, some) };
}

describe("P10: values of components travel in messages", () => {
  test.each<Form>(["json", "msgpack"])("every value survives a round trip in %s", (form) => {
    const cases = typed.chain(({ type, values }) => fc.tuple(fc.constant(type), values));
    fc.assert(
      fc.property(cases, ([type, value]) => {
        const bytes = encodeValue(toMessage(type, value), form);
        expect(fromMessage(type, decodeValue(bytes, form), "value")).toEqual(value);
      }),
      { numRuns: 500 },
    );
  });

  test("no message breaks the conversion: it fits, or it is refused", () => {
    fc.assert(
      fc.property(typed, fc.jsonValue(), ({ type }, message) => {
        try {
          fromMessage(type, message, "value");
        } catch (error) {
          if (!(error instanceof Failure) || error.code !== "INVALID_REQUEST") throw error;
        }
      }),
      { numRuns: 500 },
    );
  });

  test("what people write in JSON is understood", () => {
    const type: WitType = {
      kind: "record",
      fields: [
        { name: "big-one", type: { kind: "u64" } },
        { name: "bytes", type: { kind: "list", of: { kind: "u8" } } },
        { name: "maybe", type: { kind: "option", of: { kind: "string" } } },
        {
          name: "how",
          type: { kind: "variant", cases: [{ name: "fast" }, { name: "slow", type: { kind: "u8" } }] },
        },
        { name: "flags", type: { kind: "flags", names: ["can-read", "write"] } },
      ],
    };
    const understood = (message: unknown) => fromMessage(type, message, "value");
    const flags = { canRead: true, write: false };
    expect([
      understood({ "big-one": "18446744073709551615", bytes: "hé", how: "fast", flags: ["can-read"] }),
      understood({
        bigOne: 5,
        bytes: [1, 2],
        maybe: null,
        how: { tag: "slow", val: 1 },
        flags: { canRead: true },
      }),
      understood({ bigOne: 5, bytes: { base64: "AQI=" }, maybe: "x", how: { tag: "fast" }, flags }),
    ]).toEqual([
      {
        bigOne: 2n ** 64n - 1n,
        bytes: Uint8Array.of(104, 195, 169),
        maybe: undefined,
        how: { tag: "fast" },
        flags,
      },
      { bigOne: 5n, bytes: Uint8Array.of(1, 2), maybe: undefined, how: { tag: "slow", val: 1 }, flags },
      { bigOne: 5n, bytes: Uint8Array.of(1, 2), maybe: "x", how: { tag: "fast" }, flags },
    ]);
  });

  const refusals: [WitType, unknown, string][] = [
    [{ kind: "u8" }, 256, "x is 256, it must be an integer from 0 to 255"],
    [{ kind: "u64" }, "-1", 'x is "-1", it must be an integer from 0 to 18446744073709551615'],
    [{ kind: "s32" }, 1.5, "x is 1.5, it must be an integer from -2147483648 to 2147483647"],
    [{ kind: "char" }, "ab", 'x is "ab", it must be one character'],
    [{ kind: "list", of: { kind: "bool" } }, [true, 1], "x[1] is 1, it must be true or false"],
    [
      { kind: "record", fields: [{ name: "a", type: { kind: "bool" } }] },
      { a: true, b: 1 },
      "x is a map, it must be a map with no other keys than a",
    ],
    [{ kind: "enum", names: ["a", "b"] }, "toString", 'x is "toString", it must be one of a, b'],
    [{ kind: "tuple", of: [{ kind: "u8" }] }, [1, 2], "x is an array, it must be an array of 1"],
    [{ kind: "resource" }, 1, "x is 1, it must be a handle, which no message can hold"],
  ];

  test.each(refusals)("R13.5: %j is not %j", (type, value, message) => {
    expect(() => fromMessage(type, value, "x")).toThrow(message);
  });

  test("R13.5: the number of arguments is checked, and no payload is none", () => {
    const type = { parameters: [{ name: "one", type: { kind: "u8" } as const }] };
    expect(() => argumentsOf(type, decodeArguments(new Uint8Array(0)).value, "op")).toThrow(
      "op takes 1 arguments",
    );
    expect(argumentsOf({ parameters: [] }, decodeArguments(new Uint8Array(0)).value, "op")).toEqual([]);
    expect(argumentsOf(type, decode(new TextEncoder().encode("[7]")).value, "op")).toEqual([7]);
  });

  test("a type that is small in the binary and huge written out is cut", () => {
    let type: WitType = { kind: "u8" };
    for (let depth = 0; depth < 60; depth += 1) type = { kind: "tuple", of: [type, type] };
    expect(signatureText({ parameters: [], result: type }).length).toBeLessThan(2_000);
  });
});
