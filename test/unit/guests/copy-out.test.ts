import fc from "fast-check";
import { expect, test } from "vitest";
import { copyLimits } from "../../../src/limits.ts";
import { copyOut } from "../../../src/wasm/guests/copy-out.ts";

test("R14.2: no copy is changed by what its guest writes later, nor by any other copy", () => {
  const memory = new Uint8Array(copyLimits.sharedBytesMax + 1_024);
  const length = fc.oneof(
    fc.integer({ min: 0, max: 200 }),
    fc.integer({ min: copyLimits.sharedBytesMax - 10, max: copyLimits.sharedBytesMax + 10 }),
    fc.integer({ min: 0, max: 5_000 }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(length, fc.integer({ min: 0, max: 255 })), { maxLength: 60 }), (reads) => {
      const copies = reads.map(([size, fill]) => {
        memory.fill(fill);
        return copyOut(memory, 7, size);
      });
      memory.fill(0xee);
      expect(copies.map((copy) => copy.length)).toEqual(reads.map(([size]) => size));
      for (const [index, copy] of copies.entries()) {
        expect(copy.every((byte) => byte === reads[index]?.[1])).toBe(true);
      }
    }),
    { numRuns: 200 },
  );
});
