import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../src/protocol/errors.ts";
import { createPipe } from "../../../src/wasm/components/world/pipe.ts";
import { bytesOf, textOf, thrownBy } from "../../support/guest-host.ts";
import { readAll } from "../../support/http-guest.ts";

const broken = new Failure("GUEST_ERROR", "given up half way");

describe("a pipe", () => {
  test("gives what was written, gathered, and then the end", async () => {
    const { source, sink } = createPipe(10);
    sink.write(bytesOf("ab"));
    sink.write(bytesOf("cd"));
    sink.close();
    expect(textOf((await source.read(3)) ?? bytesOf(""))).toBe("abc");
    expect(textOf((await source.read(3)) ?? bytesOf(""))).toBe("d");
    expect([await source.read(3), await source.read(3)]).toEqual([undefined, undefined]);
  });

  test("lets its writer wait until there is room", async () => {
    const { source, sink } = createPipe(4);
    sink.write(bytesOf("abcd"));
    expect(sink.room()).toBe(0);
    let waited = false;
    const room = sink.whenRoom().then(() => (waited = true));
    await Promise.resolve();
    expect(waited).toBe(false);
    await source.read(3);
    await room;
    expect(sink.room()).toBe(3);
    expect(() => sink.write(bytesOf("efgh"))).toThrow("beyond its room");
  });

  test("hands a write to the reader that waits for it", async () => {
    const { source, sink } = createPipe(4);
    const reading = source.read(10);
    sink.write(bytesOf("ab"));
    expect(await reading).toEqual(bytesOf("ab"));
    const last = source.read(10);
    sink.close();
    expect(await last).toBeUndefined();
  });

  test("gives its failure instead of what it holds: half a body is none", async () => {
    const overs: string[] = [];
    const { source, sink } = createPipe(4, () => overs.push("over"));
    sink.write(bytesOf("ab"));
    sink.fail(broken);
    expect(await thrownBy(() => source.read(1))).toBe(broken);
    expect(await thrownBy(() => sink.room())).toBe(broken);
    expect(await thrownBy(() => sink.whenRoom())).toBe(broken);
    expect(overs).toEqual(["over"]);
  });

  test("that is whole cannot break any more", async () => {
    const { source, sink } = createPipe(4);
    sink.write(bytesOf("ab"));
    sink.close();
    sink.fail(broken);
    expect((await readAll(source)).toString()).toBe("ab");
    expect(await thrownBy(() => sink.write(bytesOf("c")))).toMatchObject({ code: "INVALID_REQUEST" });
  });

  test("tells its writer when its reader gives it up, also one that waits", async () => {
    const { source, sink } = createPipe(2);
    sink.write(bytesOf("ab"));
    const waiting = thrownBy(() => sink.whenRoom());
    source.cancel("the client hung up");
    const failure = { code: "COMMUNICATION_FAILURE", message: expect.stringContaining("the client hung up") };
    expect(await waiting).toMatchObject(failure);
    expect(await thrownBy(() => sink.room())).toMatchObject(failure);
  });

  test("carries any writes through any reads, and never holds more than it may", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(sizes, sizes, fc.integer({ min: 1, max: 64 }), async (writes, reads, bytesMax) => {
        const { source, sink } = createPipe(bytesMax);
        const sent = Buffer.alloc(writes.reduce((sum, size) => sum + size, 0)).map((_, index) => index);
        let heldMax = 0;
        const write = async () => {
          let at = 0;
          for (const size of writes) {
            for (const end = at + size; at < end;) {
              await sink.whenRoom();
              const part = sent.subarray(at, Math.min(end, at + sink.room()));
              sink.write(part);
              heldMax = Math.max(heldMax, bytesMax - sink.room());
              at += part.length;
            }
          }
          sink.close();
        };
        const got: Uint8Array[] = [];
        const read = async () => {
          for (let turn = 0; ; turn += 1) {
            const size = reads[turn % reads.length] ?? 1;
            const piece = await source.read(size);
            if (piece === undefined) return;
            expect(piece.length).toBeLessThanOrEqual(size);
            expect(piece.length).toBeGreaterThan(0);
            got.push(piece);
          }
        };
        await Promise.all([write(), read()]);
        expect(Buffer.concat(got).equals(sent)).toBe(true);
        expect(heldMax).toBeLessThanOrEqual(bytesMax);
      }),
      { numRuns: 100 },
    );
  });
});
