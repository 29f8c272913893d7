import { describe, expect, test } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";

const json = (text: string) => Buffer.from(text);
const hex = (digits: string) => Buffer.from(digits.replaceAll(" ", ""), "hex");
const repeated = (unit: string, count: number) => Buffer.from(unit.repeat(count), "hex");

const cases: [name: string, bytes: Uint8Array, message: string][] = [
  ["an empty message", new Uint8Array(), "at byte 0: it is empty"],

  ["JSON nested a million deep", json("[".repeat(1_000_000)), "at byte 64: it nests deeper than 64"],
  [
    "JSON maps nested a million deep",
    json('{"a":'.repeat(1_000_000)),
    "at byte 320: it nests deeper than 64",
  ],
  ["JSON with 90,000 keys", json(`{${keys(90_000)}}`), "a map has more than 4096 keys"],
  ["JSON with 90,000 elements", json(`[${"1,".repeat(89_999)}1]`), "an array has more than 16384 elements"],
  ["JSON with a million values", json(`[${row(70)}]`), "more than 262144 keys and values"],
  ["JSON that breaks off", json('{"a":[1,'), "not valid JSON"],
  ["JSON with more behind it", json('{"a":1}{"b":2}'), "not valid JSON"],
  ["JSON with NaN", json('{"a":NaN}'), "not valid JSON"],
  ["white space", json("  \n "), "not valid JSON"],
  ["white space and a number", json(" 42"), "neither a map nor an array"],
  ["JSON with a number beyond all", json('{"a":{"b":[1e999]}}'), '"a.b[0]": a number is not finite'],
  ["JSON with a number of 400 digits", json(`{"a":-${"9".repeat(400)}}`), "a number is not finite"],
  ["JSON with the key __proto__", json('{"a":[{"__proto__":{"x":1}}]}'), '"a[0].__proto__"'],
  [
    "JSON with constructor.prototype",
    json('{"constructor":{"prototype":{}}}'),
    "__proto__, constructor and prototype",
  ],
  ["JSON with the key prototype", json('{"prototype":1}'), '"prototype"'],
  ["JSON with an escaped __proto__", json(String.raw`{"\u005f_proto__":1}`), '"__proto__"'],
  [
    "JSON with an escaped lone surrogate",
    json(String.raw`{"a":"\ud800"}`),
    '"a": a string has a lone surrogate',
  ],
  ["JSON that is not UTF-8", hex("7b 22 61 22 3a 22 c3 28 22 7d"), "at byte 6: it is not valid UTF-8"],
  ["JSON in UTF-8 of surrogates", hex("5b 22 efbfbd eda080 22 5d"), "at byte 5: it is not valid UTF-8"],
  ["JSON in UTF-16", Buffer.from('{"a":1}', "utf16le"), "not valid JSON"],

  [
    "MessagePack arrays nested a million deep",
    repeated("91", 1_000_000),
    "at byte 64: it nests deeper than 64",
  ],
  [
    "MessagePack maps nested a million deep",
    repeated("81a161", 1_000_000),
    "at byte 192: it nests deeper than 64",
  ],
  [
    "a map that announces 2^32 − 1 entries",
    hex("df ffffffff a16101"),
    "at byte 0: a map has more than 4096 keys",
  ],
  [
    "an array that announces 2^32 − 1",
    hex("dd ffffffff 01"),
    "at byte 0: an array has more than 16384 elements",
  ],
  [
    "a map that announces more than it has",
    hex("81 a161 de 0100 a162"),
    "at byte 3: the value that begins here",
  ],
  ["an array that announces more than it has", hex("dc 0100 01"), "at byte 0: the value that begins here"],
  ["arrays whose lengths add up beyond all", nestedLengths(), "the value that begins here"],
  ["a million values", Buffer.concat([hex("dc0050"), ...rows(80)]), "more than 262144 keys and values"],
  [
    "a string longer than the message",
    hex("81 a161 db ffffffff 61"),
    "at byte 3: the value that begins here",
  ],
  ["bin longer than the message", hex("81 a161 c6 7fffffff 61"), "at byte 3: the value that begins here"],
  ["a length that breaks off", hex("81 a161 da 01"), "at byte 3: the value that begins here"],
  ["a float that breaks off", hex("81 a161 cb 3ff0"), "at byte 3: the value that begins here"],
  ["an int64 that breaks off", hex("91 d3 00000000"), "at byte 1: the value that begins here"],
  ["a map that breaks off", hex("82 a161 01"), "at byte 0: the value that begins here"],
  ["trailing bytes", hex("81 a161 01 c0c0"), "at byte 4: 2 bytes follow its end"],
  ["a timestamp", hex("81 a161 d6ff 00000000"), "at byte 3: extension types are not allowed"],
  ["an undefined of other libraries", hex("81 a161 d40000"), "at byte 3: extension types are not allowed"],
  [
    "a record definition of msgpackr",
    hex("91 d4 72 40 91 a161 01"),
    "at byte 1: extension types are not allowed",
  ],
  ["a large extension", hex("91 c9 ffffffff 05 00"), "at byte 1: extension types are not allowed"],
  ["the type that is never used", hex("91 c1"), "at byte 1: 0xc1 begins no MessagePack value"],
  ["a number as key", hex("81 01 01"), "at byte 1: a map has a key that is not a string"],
  ["bin as key", hex("81 c40161 01"), "at byte 1: a map has a key that is not a string"],
  ["a map as key", hex("81 80 01"), "at byte 1: a map has a key that is not a string"],
  ["a string that is not UTF-8", hex("81 a161 a2c328"), "at byte 3: a string is not valid UTF-8"],
  [
    "a long string that is not UTF-8",
    hex(`81 a161 d9c8 ${"c3".repeat(200)}`),
    "at byte 3: a string is not valid UTF-8",
  ],
  ["a key that is not UTF-8", hex("81 a2eda0 01"), "at byte 1: a string is not valid UTF-8"],
  ["the key __proto__", Buffer.concat([hex("81"), text("__proto__"), hex("80")]), "at byte 1: the keys"],
  [
    "__proto__ with a long header",
    Buffer.concat([hex("81 d909"), json("__proto__"), hex("80")]),
    "at byte 1: the keys",
  ],
  ["constructor", Buffer.concat([hex("81"), text("constructor"), hex("80")]), "at byte 1: the keys"],
  ["prototype", Buffer.concat([hex("91 81"), text("prototype"), hex("80")]), "at byte 2: the keys"],
  ["uint64 2^53", hex("91 cf 0020000000000000"), "at byte 1: an integer has more than 53 bits"],
  ["uint64 2^53 + 1", hex("91 cf 0020000000000001"), "at byte 1: an integer has more than 53 bits"],
  ["uint64 2^64 − 1", hex("91 cf ffffffffffffffff"), "at byte 1: an integer has more than 53 bits"],
  ["int64 −2^53", hex("91 d3 ffe0000000000000"), "at byte 1: an integer has more than 53 bits"],
  ["int64 −2^63", hex("91 d3 8000000000000000"), "at byte 1: an integer has more than 53 bits"],
  ["a double NaN", hex("91 cb 7ff8000000000000"), "at byte 1: a number is not finite"],
  ["a negative NaN", hex("91 cb fff0000000000001"), "at byte 1: a number is not finite"],
  ["a double infinity", hex("91 cb 7ff0000000000000"), "at byte 1: a number is not finite"],
  ["a float infinity", hex("91 ca ff800000"), "at byte 1: a number is not finite"],
];

describe("P18, R13.5: hostile messages get INVALID_REQUEST that says what is wrong and where", () => {
  test.each(cases)("%s", (_, bytes, message) => {
    const failure = refused(bytes);
    expect(failure.code).toBe("INVALID_REQUEST");
    expect(failure.message).toContain(message);
    expect(failure.message.length).toBeLessThan(250);
    expect(failure.fix).toMatch(/\.$|nothing to say/);
  });

  test.each<[string, Uint8Array, unknown]>([
    ["uint64 2^53 − 1", hex("91 cf 001fffffffffffff"), [Number.MAX_SAFE_INTEGER]],
    ["int64 −(2^53 − 1)", hex("91 d3 ffe0000000000001"), [Number.MIN_SAFE_INTEGER]],
    ["int64 −1", hex("91 d3 ffffffffffffffff"), [-1]],
    ["int64 5", hex("91 d3 0000000000000005"), [5]],
    ["the largest float", hex("91 ca 7f7fffff"), [3.4028234663852886e38]],
    ["the largest double", hex("91 cb 7fefffffffffffff"), [Number.MAX_VALUE]],
    ["the tokens that other options take for records", hex("93 40 5f 7f"), [0x40, 0x5f, 0x7f]],
    ["a value __proto__", json('["__proto__","constructor"]'), ["__proto__", "constructor"]],
    ["a key hasOwnProperty", json('{"hasOwnProperty":1}'), { hasOwnProperty: 1 }],
    ["an exponent", json('[1e3,1E-3,"1e999"]'), [1000, 0.001, "1e999"]],
    [
      "brackets in strings",
      json(`["${"[".repeat(1000)}",{"a":"\\"${"{".repeat(1000)}"}]`),
      ["[".repeat(1000), { a: `"${"{".repeat(1000)}` }],
    ],
    ["a key that comes twice: the last counts", json('{"a":1,"a":2}'), { a: 2 }],
    ["a key that comes twice in MessagePack: the last counts", hex("82 a16101 a16102"), { a: 2 }],
  ])("%s passes", (_, bytes, value) => {
    expect(decode(bytes).value).toStrictEqual(value);
  });

  test("nothing polluted a prototype", () => {
    for (const [, bytes] of cases) refused(bytes);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });
});

function keys(count: number): string {
  return Array.from({ length: count }, (_, index) => `"k${index}":1`).join(",");
}

function row(count: number): string {
  const one = `[${"1,".repeat(15_999)}1]`;
  return Array.from({ length: count }, () => one).join(",");
}

function rows(count: number): Buffer[] {
  const one = Buffer.concat([hex("dc3a98"), Buffer.alloc(15_000)]);
  return Array.from({ length: count }, () => one);
}

/** Each array announces as much as is left, which each alone could be true. */
function nestedLengths(): Buffer {
  const levels = 40;
  const bytes = Buffer.alloc(levels * 3 + 200, 1);
  for (let level = 0; level < levels; level += 1) {
    bytes[level * 3] = 0xdc;
    bytes.writeUInt16BE(bytes.length - level * 3 - 3, level * 3 + 1);
  }
  return bytes;
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([0xa0 | value.length]), Buffer.from(value)]);
}

function refused(bytes: Uint8Array): Failure {
  try {
    decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    return error as Failure;
  }
  throw new Error("the message was taken");
}
