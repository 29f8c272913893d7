import fc from "fast-check";
import { expect, test } from "vitest";
import { checkFilter, checkHeaders, checkQueue, checkSubject, isInbox } from "../../src/bus/names.ts";
import { busLimits } from "../../src/limits.ts";

const accepts = (check: (name: string) => void, name: string): boolean => {
  try {
    check(name);
    return true;
  } catch {
    return false;
  }
};

test("whatever name is accepted is one word of one protocol line", () => {
  const nasty = fc.string({
    unit: fc.constantFrom("a", ".", "*", ">", " ", "\t", "\r", "\n", "\0", "\u2028", "\u00a0", "é", "$", "-"),
    maxLength: 12,
  });
  fc.assert(
    fc.property(fc.oneof(nasty, fc.string({ unit: "binary" })), (name) => {
      const oneWord = /^[\x21-\x7e]+$/.test(name);
      const tokens = name.split(".");
      const wholeTokens = oneWord && tokens.every((token) => token.length > 0);
      const literal = wholeTokens && !/[*>]/.test(name);
      expect(accepts(checkSubject, name)).toBe(literal);
      expect(accepts(checkQueue, name)).toBe(literal);
      const wildcards = tokens.every(
        (token, index) =>
          token === "*" || (token === ">" && index === tokens.length - 1) || !/[*>]/.test(token),
      );
      expect(accepts(checkFilter, name)).toBe(wholeTokens && wildcards);
    }),
    { numRuns: 2_000 },
  );
});

test("names are accepted up to their limit and not beyond", () => {
  const { subjectBytesMax, queueNameBytesMax } = busLimits;
  expect([
    accepts(checkSubject, "x".repeat(subjectBytesMax)),
    accepts(checkSubject, "x".repeat(subjectBytesMax + 1)),
    accepts(checkQueue, "x".repeat(queueNameBytesMax)),
    accepts(checkQueue, "x".repeat(queueNameBytesMax + 1)),
  ]).toEqual([true, false, true, false]);
});

test("a long name of many tokens is checked in no time", () => {
  const startedAt = performance.now();
  for (let round = 0; round < 1_000; round += 1) accepts(checkFilter, `${"a.".repeat(511)}a `);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});

test("the bytes of headers are those of their lines on the wire", () => {
  expect(checkHeaders({ A: "é", Bc: "" })).toBe(Buffer.byteLength("NATS/1.0\r\nA: é\r\nBc: \r\n\r\n"));
});

test("only what lies below the inbox root is an inbox", () => {
  expect(["_INBOX.a", "_INBOX.a.b", "_INBOX", "_INBOXa.b", "x._INBOX.a", ""].map(isInbox)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
