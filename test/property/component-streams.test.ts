import fc from "fast-check";
import { expect, test } from "vitest";
import { inputStreamOf } from "../../src/wasm/components/world/input-stream.ts";
import { outputStreamOf } from "../../src/wasm/components/world/output-stream.ts";
import { createPipe } from "../../src/wasm/components/world/pipe.ts";
import { hostOfLife } from "../support/component-host.ts";

/** How a guest moves bytes: every way that the interfaces offer. */
const ways = ["read", "blockingRead", "splice", "blockingSplice", "poll"] as const;

// P10, R2.1
test("P10: whatever a guest does to move a body, it arrives whole and in order, and no more is held than may be", async () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...ways), fc.integer({ min: 0, max: 300 })), {
    maxLength: 40,
  });
  const bodies = fc.array(fc.uint8Array({ minLength: 1, maxLength: 200 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(bodies, steps, fc.integer({ min: 1, max: 128 }), async (pieces, moves, pipeBytes) => {
      const host = hostOfLife();
      const whole = Buffer.concat(pieces);
      const left = [...pieces];
      const input = inputStreamOf(host, { read: async () => left.shift(), cancel: () => {} });
      const pipe = createPipe(pipeBytes);
      const output = outputStreamOf(host, { ...pipe.sink, flush: () => undefined });
      const arrived: Uint8Array[] = [];
      const reading = (async () => {
        for (
          let piece = await pipe.source.read(50);
          piece !== undefined;
          piece = await pipe.source.read(50)
        ) {
          expect(piece.length).toBeLessThanOrEqual(50);
          arrived.push(piece.slice());
        }
      })();
      const move = async (way: (typeof ways)[number], length: number) => {
        const len = BigInt(length);
        if (way === "read") await output.blockingWriteAndFlush(input.read(len));
        else if (way === "blockingRead") await output.blockingWriteAndFlush(await input.blockingRead(len));
        else if (way === "splice") output.splice(input, len);
        else if (way === "blockingSplice") await output.blockingSplice(input, len);
        else await input.subscribe().block();
      };
      let isEnd = false;
      const untilEnd = async (way: (typeof ways)[number], length: number) => {
        try {
          await move(way, length);
        } catch (error) {
          expect(error).toEqual({ tag: "closed" });
          isEnd = true;
        }
      };
      for (const [way, length] of moves) if (!isEnd) await untilEnd(way, length);
      while (!isEnd) await untilEnd("blockingSplice", 77);
      output[Symbol.dispose]();
      await reading;
      expect(Buffer.compare(Buffer.concat(arrived), whole)).toBe(0);
    }),
    { numRuns: 200 },
  );
});
