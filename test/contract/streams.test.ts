import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ByteSource } from "../../src/byte-source.ts";
import { createStreams } from "../../src/bus/streams.ts";
import { streamLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

/** Two ends on one bus, and a source that counts what it gave. */
function twoEnds() {
  const clock = virtualClock(1_000);
  const server = startMemoryServer({ clock });
  const end = (holder: string) => createStreams({ lattice: "test", holder, bus: server.connect(), clock });
  return { clock, writer: end("n1"), reader: end("n2") };
}

function sourceOf(pieces: Uint8Array[], failure?: Failure) {
  let given = 0;
  let cancelled: string | undefined;
  const source: ByteSource = {
    async read(bytesMax) {
      const piece = pieces[given];
      if (piece === undefined) {
        if (failure !== undefined) throw failure;
        return undefined;
      }
      expect(piece.length).toBeLessThanOrEqual(bytesMax);
      given += 1;
      return piece;
    },
    cancel: (reason) => (cancelled ??= reason),
  };
  return { source, given: () => given, cancelled: () => cancelled };
}

const pieces = (count: number) =>
  Array.from({ length: count }, (_, index) => new Uint8Array(1_000).fill(index));

async function readAll(source: ByteSource, bytesMax = 64): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  for (;;) {
    const piece = await source.read(bytesMax);
    if (piece === undefined) return new Uint8Array(Buffer.concat(read));
    expect(piece.length).toBeGreaterThan(0);
    expect(piece.length).toBeLessThanOrEqual(bytesMax);
    read.push(piece);
  }
}

describe("R12.3: bodies over the bus", () => {
  test("what is read is what was written, whatever the sizes", async () => {
    const { writer, reader } = twoEnds();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 400 }),
        async (written, bytesMax) => {
          const read = await readAll(reader.open(writer.serve(sourceOf(written).source)), bytesMax);
          expect(Buffer.from(read).equals(Buffer.concat(written))).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("the reader sets the pace: a source is read one piece ahead and no more", async () => {
    const { writer, reader, clock } = twoEnds();
    const { source, given } = sourceOf(pieces(100));
    const stream = reader.open(writer.serve(source));
    await stream.read(1_000);
    await clock.advance(1_000);
    expect(given()).toBe(2);
  });

  test("a source that breaks breaks at the reader, with its own code", async () => {
    const { writer, reader } = twoEnds();
    const failure = new Failure("TIMEOUT", "the far end is silent");
    const stream = reader.open(writer.serve(sourceOf(pieces(2), failure).source));
    await expect(readAll(stream, 5_000)).rejects.toMatchObject({ code: "TIMEOUT", message: failure.message });
  });

  test("a reader that gives up is told to the source", async () => {
    const { writer, reader, clock } = twoEnds();
    const { source, cancelled } = sourceOf(pieces(5));
    const stream = reader.open(writer.serve(source));
    await stream.read(10);
    stream.cancel("enough");
    await clock.advance(10);
    expect(cancelled()).toBe("its reader gave it up");
  });

  test("a stream that nobody reads is given up", async () => {
    const { writer, clock } = twoEnds();
    const { source, cancelled } = sourceOf(pieces(5));
    writer.serve(source);
    await clock.advance(streamLimits.idleMs);
    expect(cancelled()).toBe("nobody reads it any more");
  });

  test("a reference that nobody serves, and one that is none, are told apart", async () => {
    const { reader, clock } = twoEnds();
    expect(() => reader.open("a.b.c")).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
    expect(() => reader.open("n1.*")).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
    const read = reader.open("n1.gone").read(10);
    const outcome = expect(read).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
    await clock.advance(1_000);
    await outcome;
  });

  test("a server of streams that closes breaks them all", async () => {
    const { writer, reader, clock } = twoEnds();
    const { source, cancelled } = sourceOf(pieces(100));
    const stream = reader.open(writer.serve(source));
    await stream.read(1_000);
    writer.close("its node ended");
    expect(cancelled()).toBe("its node ended");
    const outcome = expect(readAll(stream, 1_000)).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
    await clock.advance(1_000);
    await outcome;
  });

  test("a source that is slow is waited for", async () => {
    const { writer, reader, clock } = twoEnds();
    const slow = Promise.withResolvers<Uint8Array | undefined>();
    let reads = 0;
    const source: ByteSource = {
      read: () => ((reads += 1) === 1 ? slow.promise : Promise.resolve(undefined)),
      cancel: () => undefined,
    };
    const read = readAll(reader.open(writer.serve(source)));
    await clock.advance(streamLimits.patienceMs * 3);
    slow.resolve(new Uint8Array([7]));
    await clock.advance(streamLimits.patienceMs);
    expect([...(await read)]).toEqual([7]);
    expect(reads).toBe(2);
  });
});
