import { describe, expect, test } from "vitest";
import { Failure } from "../../src/protocol/errors.ts";
import { assertId, echo, isId } from "../../src/protocol/ids.ts";

const legal = ["a", "A", "0", "default", "greeter-1", "node_7", "a--b", "a__b", "x".repeat(64)];

const illegal = [
  "",
  "*",
  ">",
  "a.b",
  "a b",
  "a\tb",
  "a\n",
  "a\r\nPUB evil 0\r\n\r\n",
  "a\0",
  "\u00a0a",
  "a\u2028",
  "a\u200bb",
  "é",
  "-a",
  "a-",
  "_a",
  "a_",
  "__proto__",
  "x".repeat(65),
  "$SYS",
  undefined,
  null,
  7,
  ["a"],
  {},
];

describe("R13.5: ids", () => {
  test.each(legal)("%j is a legal id", (id) => {
    expect(isId(id)).toBe(true);
    expect(() => assertId(id, "instanceId")).not.toThrow();
  });

  test.each(illegal)("%j is refused", (id) => {
    expect(isId(id)).toBe(false);
    expect(failureOf(() => assertId(id, "instanceId"))).toMatchObject({
      code: "INVALID_REQUEST",
      details: { field: "instanceId" },
      fix: "Use 1 to 64 letters (a-z, A-Z), digits, '-' and '_', with a letter or digit at both ends.",
    });
  });

  test("a refusal names the field and shows the value in printable ASCII", () => {
    const { message } = failureOf(() => assertId('a"\r\n\u202eb', "nodeId"));
    expect(message).toBe('nodeId is not a legal id: "a\\"\\u{d}\\u{a}\\u{202e}b"');
  });

  test("a refusal shows no more than 64 characters of a long value", () => {
    const { message } = failureOf(() => assertId("x".repeat(1_000_000), "nodeId"));
    expect(message).toBe(`nodeId is not a legal id: "${"x".repeat(64)}"… (1000000 characters)`);
  });
});

describe("R13.6: the echo of a refused value", () => {
  test("counts escapes as what they show, and cuts none of them in two", () => {
    expect(echo("\u200b".repeat(64))).toBe(`"${"\\u{200b}".repeat(8)}"… (64 characters)`);
  });

  test("of what is not a string is its type", () => {
    const values = [undefined, null, 1, true, [1], { a: 1 }, new Uint8Array(2)];
    expect(values.map(echo)).toEqual([
      "nothing",
      "null",
      "a number",
      "a boolean",
      "an array",
      "a map",
      "bytes",
    ]);
  });
});

function failureOf(act: () => void): Failure {
  try {
    act();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
