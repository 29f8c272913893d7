import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareKeys } from "../../src/capabilities/kv/key-order.ts";
import { keyOfNats, natsBucketName, natsFilter, natsKey } from "../../src/capabilities/kv/nats-names.ts";

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.string({
    unit: fc.constantFrom("/", ".", "=", "2", "F", "a", "é", "\u{1f600}", "\ufb00"),
    maxLength: 8,
  }),
);
const key = text.filter((one) => one !== "" && !one.includes("\0"));

test("R5.1: keys are ordered as their UTF-8 bytes are", () => {
  fc.assert(
    fc.property(text, text, (a, b) => {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    { numRuns: 1_000 },
  );
});

describe("R14.5: names in JetStream", () => {
  test("every key is a legal key there, and comes back as it was", () => {
    fc.assert(
      fc.property(key, (one) => {
        expect(natsKey(one)).toMatch(/^[-=\w]+(?:\.[-=\w]+)*$/);
        expect(keyOfNats(natsKey(one))).toBe(one);
      }),
      { numRuns: 2_000 },
    );
  });

  test("what is no key of ours comes back as none, or as the key that it is", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("a", "=", "/", ".", "2", "F", "f", "0", "*"), maxLength: 8 }),
        (encoded) => {
          const one = keyOfNats(encoded);
          if (one !== undefined) expect(natsKey(one)).toBe(encoded);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("the filter of a prefix lets through every key that begins with it", () => {
    fc.assert(
      fc.property(
        text.filter((one) => !one.includes("\0")),
        key,
        (prefix, rest) => {
          const filter = natsFilter(prefix);
          const encoded = natsKey(prefix + rest);
          expect(filter === ">" || encoded.startsWith(filter.slice(0, -1))).toBe(true);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("two buckets never have one name", () => {
    const id = fc.stringMatching(/^[a0](?:[a0_-]{0,6}[a0])?$/);
    fc.assert(
      fc.property(id, id, id, id, (lattice, name, otherLattice, otherName) => {
        const [one, other] = [`${lattice}/${name}`, `${otherLattice}/${otherName}`];
        expect(natsBucketName(one)).toMatch(/^[-\w]+$/);
        expect(natsBucketName(one) === natsBucketName(other)).toBe(one === other);
      }),
      { numRuns: 2_000 },
    );
    expect(natsBucketName("a_1_b/c")).not.toBe(natsBucketName("a/1_b_c"));
  });
});
