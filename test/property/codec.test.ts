import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Form, decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";

const forms: Form[] = ["json", "msgpack"];
const forbidden = new Set(["__proto__", "constructor", "prototype"]);

const text = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary", maxLength: 300 }),
  // Long, and with a byte order mark in front: the library's own decoder loses it.
  fc
    .tuple(fc.constantFrom("", "\uFEFF"), fc.string({ minLength: 60, maxLength: 300 }))
    .map((parts) => parts.join("")),
);
const key = text.filter((value) => !forbidden.has(value));
const number = fc.oneof(
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
  fc.constantFrom(
    -33,
    -32,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 31,
    2 ** 32,
    -(2 ** 31) - 1,
    2 ** 60,
    1e300,
  ),
);
const bytes = fc.uint8Array({ maxLength: 300 });

/** A message: a map or an array of anything that can travel in this form. */
function messages(form: Form): fc.Arbitrary<unknown> {
  const { map, array } = fc.letrec<{ value: unknown; map: unknown; array: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      text,
      number,
      fc.boolean(),
      fc.constant(null),
      ...(form === "msgpack" ? [bytes] : []),
      tie("map"),
      tie("array"),
    ),
    map: fc.dictionary(key, tie("value"), { maxKeys: 20, noNullPrototype: true }),
    array: fc.array(tie("value"), { maxLength: 20 }),
  }));
  return fc.oneof(map, array);
}

describe.each(forms)("P16: in %s", (form) => {
  test("any message is what it was after a round trip, and shows its form", () => {
    fc.assert(
      fc.property(messages(form), (message) => {
        expect(decode(encode(message, form))).toEqual({ value: message, form });
      }),
      { numRuns: 500 },
    );
  });

  test("a message that was decoded can be sent on, and its bytes are the same", () => {
    fc.assert(
      fc.property(messages(form), (message) => {
        const sent = encode(message, form);
        expect(Buffer.from(encode(decode(sent).value, form))).toEqual(Buffer.from(sent));
      }),
      { numRuns: 100 },
    );
  });

  test("a valid message with bytes changed, lost or added is taken or refused with INVALID_REQUEST", () => {
    fc.assert(
      fc.property(messages(form), fc.array(edits(), { minLength: 1, maxLength: 8 }), (message, changes) => {
        expectValueOrRefusal(changes.reduce(edited, Buffer.from(encode(message, form))));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("P18: whatever the bytes are, decode takes them or refuses with INVALID_REQUEST", () => {
  test("random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), expectValueOrRefusal), { numRuns: 1_000 });
  });

  test("bytes that begin a MessagePack map or array", () => {
    const first = fc.oneof(fc.integer({ min: 0x80, max: 0x9f }), fc.integer({ min: 0xdc, max: 0xdf }));
    // Tokens more often than not, so that the walk gets somewhere.
    const rest = fc.array(fc.oneof(fc.integer({ min: 0x80, max: 0xff }), fc.integer({ min: 0, max: 0xff })));
    fc.assert(
      fc.property(first, rest, (token, tail) => expectValueOrRefusal(Uint8Array.of(token, ...tail))),
      { numRuns: 1_000 },
    );
  });

  test("text made of what JSON is made of", () => {
    const pieces = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      "\\",
      "\\u",
      "0",
      "1e9",
      "-",
      "true",
      "a",
      " ",
      "é",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) =>
        expectValueOrRefusal(Buffer.from(`{${parts.join("")}`)),
      ),
      { numRuns: 1_000 },
    );
  });

  test("what encode refuses is refused with INVALID_REQUEST, too", () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withSet: true,
          withTypedArray: true,
          withNullPrototype: true,
        }),
        fc.constantFrom(...forms),
        (value, form) => {
          let message: Uint8Array;
          try {
            message = encode(value, form);
          } catch (error) {
            return expectInvalid(error);
          }
          // And what it does not refuse, decode takes.
          expect(decode(message).form).toBe(form);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});

/** Takes, or refuses; what it takes can be sent again, which no half-checked value could. */
function expectValueOrRefusal(message: Uint8Array): void {
  let decoded;
  try {
    decoded = decode(message);
  } catch (error) {
    return expectInvalid(error);
  }
  expect(decode(encode(decoded.value, decoded.form)).value).toEqual(positiveZeros(decoded.value));
}

function expectInvalid(error: unknown): void {
  expect(error).toBeInstanceOf(Failure);
  expect(error).toMatchObject({ code: "INVALID_REQUEST", fix: expect.any(String) as string });
}

/** -0 travels as 0. */
function positiveZeros(value: unknown): unknown {
  if (typeof value === "number") return value + 0;
  if (Array.isArray(value)) return value.map(positiveZeros);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, positiveZeros(inner)]));
}

interface Edit {
  readonly kind: "change" | "remove" | "insert" | "cut";
  /** Where, as a share of the length. */
  readonly place: number;
  readonly byte: number;
}

function edits(): fc.Arbitrary<Edit> {
  return fc.record({
    kind: fc.constantFrom("change", "change", "remove", "insert", "cut"),
    place: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.integer({ min: 0, max: 255 }),
  });
}

function edited(message: Buffer, { kind, place, byte }: Edit): Buffer {
  const at = Math.floor(place * message.length);
  const [head, tail] = [message.subarray(0, at), message.subarray(at)];
  switch (kind) {
    case "change":
      return Buffer.concat([head, Buffer.from([byte]), tail.subarray(1)]);
    case "remove":
      return Buffer.concat([head, tail.subarray(1)]);
    case "insert":
      return Buffer.concat([head, Buffer.from([byte]), tail]);
    case "cut":
      return Buffer.from(head);
  }
}
