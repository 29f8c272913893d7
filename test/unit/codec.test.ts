import { describe, expect, test } from "vitest";
import { codecLimits } from "../../src/limits.ts";
import { type Form, decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";

const forms: Form[] = ["json", "msgpack"];

const command = {
  module: { digest: `sha256:${"ab12".repeat(16)}` },
  name: "greeter",
  count: 2,
  capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] }],
  restartPolicy: { type: "backoff", delayMs: 200, factor: 1.5, jitter: null, capped: true },
};

describe.each(forms)("P16: a message in %s", (form) => {
  test("is what it was after a round trip", () => {
    expect(decode(encode(command, form))).toEqual({ value: command, form });
  });

  test("may be an array", () => {
    expect(decode(encode([command, command], form))).toEqual({ value: [command, command], form });
  });

  test("leaves out what is undefined in a map", () => {
    expect(decode(encode({ a: undefined, b: { c: undefined, d: 1 } }, form)).value).toStrictEqual({
      b: { d: 1 },
    });
  });

  test("keeps the byte order mark of a string of any length", () => {
    const strings = [
      "\uFEFF",
      `\uFEFF${"x".repeat(62)}`,
      `\uFEFF${"é".repeat(300)}`,
      `\uFEFF${"x".repeat(70_000)}`,
    ];
    const value = { strings, [`\uFEFF${"k".repeat(80)}`]: `\uFEFF\uFEFF${"x".repeat(80)}`, after: "x" };
    expect(decode(encode(value, form)).value).toEqual(value);
  });

  test("may nest as deep as the limit and no deeper", () => {
    const deepest = nested(codecLimits.depthMax);
    expect(decode(encode(deepest, form)).value).toEqual(deepest);
    expect(refusal(() => encode(nested(codecLimits.depthMax + 1), form))).toContain("deeper than 64");
  });

  test("may have as many elements in an array as the limit and no more", () => {
    const full = { list: Array.from({ length: codecLimits.arrayElementsMax }, () => 1) };
    expect(decode(encode(full, form)).value).toEqual(full);
    expect(refusal(() => encode({ list: [...full.list, 1] }, form))).toContain("more than 16384 elements");
  });

  test("may have as many keys in a map as the limit and no more", () => {
    const full = mapOf(codecLimits.mapKeysMax);
    expect(decode(encode(full, form)).value).toEqual(full);
    expect(refusal(() => encode({ ...full, more: 1 }, form))).toContain("more than 4096 keys");
  });

  test("may have as many values as the limit and no more", () => {
    // One value too many: the outermost array, its elements, and theirs.
    const rows = Array.from({ length: 16 }, () =>
      Array.from({ length: 16_383 }, (_, index) => (index % 2 === 0 ? [] : {})),
    );
    const room = codecLimits.valuesMax - (1 + rows.length + rows.length * 16_383);
    expect(room).toBe(-1);
    rows[0]!.pop();
    expect(decode(encode(rows, form)).value).toHaveLength(16);
    rows[0]!.push([]);
    expect(refusal(() => encode(rows, form))).toContain("more than 262144 keys and values");
  });

  test("counts keys as values", () => {
    const full = mapOf(codecLimits.mapKeysMax);
    const maps = Array.from({ length: 31 }, () => full);
    expect(decode(encode(maps, form)).value).toEqual(maps);
    expect(refusal(() => encode([...maps, full], form))).toContain("more than 262144 keys and values");
  });

  test("of 5,000 instances passes", () => {
    const instances = Array.from({ length: 5_000 }, (_, index) => ({ instanceId: `i-${index}`, ...command }));
    expect(decode(encode({ instances }, form)).value).toEqual({ instances });
  });

  test("has no -0", () => {
    expect(decode(encode([-0], form)).value).toStrictEqual([0]);
  });

  test.each<[string, unknown, string]>([
    ["a class instance", { at: new Date(0) }, "instance of a class"],
    ["a Map", { list: [new Map()] }, '"list[0]"'],
    ["a function", { call: () => 1 }, "a function"],
    ["a bigint", { seq: 1n }, "a bigint"],
    ["undefined in an array", { list: [1, undefined] }, '"list[1]"'],
    ["NaN", { load: { cpu: Number.NaN } }, '"load.cpu"'],
    ["an infinity", [Number.NEGATIVE_INFINITY], "not finite"],
    ["a lone surrogate", { text: "\ud800" }, "lone surrogate"],
    ["a lone surrogate as key", { "\udc00": 1 }, "lone surrogate"],
    ["the key constructor", { a: { constructor: 1 } }, '"a.constructor"'],
    ["an own key __proto__", JSON.parse('{"__proto__":1}'), "__proto__"],
    ["a string alone", "text", "neither a map nor an array"],
    ["null", null, "neither a map nor an array"],
    ["bytes alone", new Uint8Array(1), "neither a map nor an array"],
  ])("cannot hold %s", (_, value, message) => {
    expect(refusal(() => encode(value, form))).toContain(message);
  });

  test("cannot be a cyclic value", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    expect(refusal(() => encode(cyclic, form))).toContain("deeper than 64");
  });
});

describe("bytes", () => {
  test("arrive in MessagePack as plain Uint8Arrays that share nothing with the message", () => {
    const message = Buffer.from(encode({ a: new Uint8Array([1, 2]), b: Buffer.from([3]) }, "msgpack"));
    const { a, b } = decode(message).value as { a: Uint8Array; b: Uint8Array };
    message.fill(0xff);
    expect([a, b].map((bytes) => [bytes.constructor, bytes.byteLength, bytes.buffer.byteLength])).toEqual([
      [Uint8Array, 2, 2],
      [Uint8Array, 1, 1],
    ]);
    expect([[...a], [...b]]).toEqual([[1, 2], [3]]);
  });

  test("are refused in JSON, which has none", () => {
    expect(refusal(() => encode({ a: new Uint8Array(1) }, "json"))).toContain("JSON has no bytes");
  });

  test("of the input are left as they were, and nothing is hung on them", () => {
    const message = new Uint8Array(encode(command, "msgpack"));
    const before = [...message];
    decode(message);
    expect([[...message], Object.keys(message).length]).toEqual([before, before.length]);
  });
});

describe("the form is found from the first byte", () => {
  test.each(['{"a":1}', '[{"a":1}]', ' \r\n\t{"a":1}'])("%j is JSON", (text) => {
    expect(decode(Buffer.from(text)).form).toBe("json");
  });

  test.each(["80", "90", "81a16101", "dc0000", "dd00000000", "de0000", "df00000000"])(
    "%s is MessagePack",
    (hex) => {
      expect(decode(Buffer.from(hex, "hex")).form).toBe("msgpack");
    },
  );

  test.each(["hello", '"text"', "42", "null", "\uFEFF{}", "\0"])("%j is neither", (text) => {
    expect(refusal(() => decode(Buffer.from(text)))).toContain("begins neither JSON nor a MessagePack map");
  });
});

function nested(depth: number): unknown {
  let value: unknown = {};
  for (let level = 1; level < depth; level += 1) value = level % 2 === 0 ? [value] : { value };
  return value;
}

function mapOf(keys: number): Record<string, unknown> {
  return Object.fromEntries(Array.from({ length: keys }, (_, index) => [`k${index}`, index]));
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).code).toBe("INVALID_REQUEST");
    return (error as Failure).message;
  }
  throw new Error("nothing was refused");
}
