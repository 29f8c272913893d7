import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { seededChance } from "../../src/chance.ts";
import { systemClock } from "../../src/clock.ts";
import { cacheLimits, pullLimits } from "../../src/limits.ts";
import { type ModuleCache, openModuleCache } from "../../src/modules/module-cache.ts";
import { type PullOptions, pullModule } from "../../src/modules/pull.ts";
import { createTurns } from "../../src/modules/turns.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const directory = () => mkdtemp(join(tmpdir(), "wasmatrix-modules-"));
const digestOf = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const large = () => new Uint8Array(randomBytes(3 * cacheLimits.pieceBytes + 7));

test("what is put can be found again, also by the next to open the directory, and leftovers are gone", async () => {
  const path = await directory();
  const digest = await (await openModuleCache({ directory: path })).put(new Uint8Array([1, 2, 3]));
  await writeFile(join(path, "upload-1.part"), "half");
  const cache = await openModuleCache({ directory: path });
  expect([cache.list(), await readdir(path)]).toEqual([[[digest, 3]], [`${digest.slice(7)}.wasm`]]);
  expect([...(await readFile(cache.fileOf(digest)))]).toEqual([1, 2, 3]);
});

test("pieces in any order make a module, once the last is there", async () => {
  const cache = await openModuleCache({ directory: await directory() });
  const bytes = new Uint8Array([1, 2, 3, 4, 5]);
  const digest = digestOf(bytes);
  expect(await cache.putPiece(digest, 5, 3, bytes.subarray(3))).toBe(false);
  expect(cache.has(digest)).toBe(false);
  expect(await cache.putPiece(digest, 5, 0, bytes.subarray(0, 3))).toBe(true);
  expect([...(await readFile(cache.fileOf(digest)))]).toEqual([1, 2, 3, 4, 5]);
});

test("pieces that are not those of the digest are refused and forgotten", async () => {
  const path = await directory();
  const cache = await openModuleCache({ directory: path });
  const digest = digestOf(new Uint8Array([1]));
  await expect(cache.putPiece(digest, 2, 0, new Uint8Array([8, 9]))).rejects.toMatchObject({
    code: "INVALID_REQUEST",
  });
  await expect(cache.putPiece(digest, 2, 1, new Uint8Array([8, 9]))).rejects.toMatchObject({
    code: "INVALID_REQUEST",
  });
  expect([cache.has(digest), await readdir(path)]).toEqual([false, []]);
});

test("eviction forgets the least recently used modules, and none that is in use", async () => {
  const cache = await openModuleCache({ directory: await directory(), bytesMax: 2 });
  const [one, two, three] = [
    await cache.put(new Uint8Array([1])),
    await cache.put(new Uint8Array([2])),
    await cache.put(new Uint8Array([3])),
  ];
  cache.fileOf(one);
  expect(await cache.evict((digest) => digest === two)).toEqual([three]);
});

const readerOf = (cache: ModuleCache, digest: string) => (_holder: string, offset: number, length: number) =>
  cache.readPiece(digest, offset, length);

test("a pull goes on with the next holder where one fails, and brings exactly the bytes", async () => {
  const source = await openModuleCache({ directory: await directory() });
  const cache = await openModuleCache({ directory: await directory() });
  const bytes = large();
  const digest = await source.put(bytes);
  const read = readerOf(source, digest);
  const asked: string[] = [];
  await pullModule({
    digest,
    holders: ["liar", "flaky", "good"],
    cache,
    clock: systemClock,
    async readPiece(holder, offset, length) {
      asked.push(holder);
      if (holder === "liar") return { bytes: new Uint8Array(3), sizeBytes: 3 };
      if (holder === "flaky" && offset > 0) throw new Error("gone");
      return read(holder, offset, length);
    },
  });
  expect(new Set(asked)).toEqual(new Set(["liar", "flaky", "good"]));
  expect(digestOf(await readFile(cache.fileOf(digest)))).toBe(digest);
});

test("a module that none of the holders gives is not found, and the failure tells each one's reason", async () => {
  const cache = await openModuleCache({ directory: await directory() });
  const pulled = pullModule({
    digest: digestOf(large()),
    holders: ["n1", "n2"],
    cache,
    clock: systemClock,
    readPiece: async (holder) => Promise.reject(new Error(`${holder} is busy`)),
  });
  await expect(pulled).rejects.toMatchObject({
    code: "MODULE_NOT_FOUND",
    message: expect.stringContaining("n2: n2 is busy"),
  });
});

/** A module that somebody holds, and an empty cache that is to get it, in pieces of 1,000 bytes. */
async function pullLab(sizeBytes = 40_000) {
  const source = await openModuleCache({ directory: await directory() });
  const cache = await openModuleCache({ directory: await directory() });
  const digest = await source.put(new Uint8Array(randomBytes(sizeBytes)));
  const asked: [holder: string, offset: number][] = [];
  const read: PullOptions["readPiece"] = (holder, offset, length) => {
    asked.push([holder, offset]);
    return source.readPiece(digest, offset, length);
  };
  const pull = (holders: string[], readPiece = read, clock = virtualClock()) =>
    pullModule({ digest, holders, cache, clock, readPiece, pieceBytes: 1_000 });
  const holds = async () => digestOf(await readFile(cache.fileOf(digest))) === digest;
  return { cache, digest, asked, read, pull, holds };
}

test("R11.4: a module comes from several holders at once, the nearest ones, and each piece once", async () => {
  const { asked, pull, holds } = await pullLab();
  await pull(["near", "next", "third", "far"]);
  const offsets = asked.map(([, offset]) => offset).toSorted((one, other) => one - other);
  expect([new Set(asked.map(([holder]) => holder)), offsets, await holds()]).toEqual([
    new Set(["near", "next", "third"]),
    Array.from({ length: 40 }, (_, index) => index * 1_000),
    true,
  ]);
});

test("what a holder owes that says nothing any more is asked of another, which is brought in for it", async () => {
  const { asked, read, pull, holds } = await pullLab();
  const clock = virtualClock();
  const silent = new Set<string>();
  const pulling = pull(
    ["n1", "n2", "n3", "n4"],
    async (holder, offset, length, signal) => {
      if (offset >= 12_000 && holder !== "n4") {
        silent.add(holder);
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      }
      return read(holder, offset, length, signal);
    },
    clock,
  );
  await vi.waitFor(() => expect(silent.size).toBe(3));
  await clock.advance(2 * pullLimits.slowPieceMs);
  await pulling;
  expect([
    await holds(),
    asked.filter(([, offset]) => offset >= 12_000).every(([who]) => who === "n4"),
  ]).toEqual([true, true]);
});

test("a pull that was cut short goes on where it ended, with other holders", async () => {
  const { cache, digest, asked, read, pull, holds } = await pullLab();
  const dying: PullOptions["readPiece"] = async (holder, offset, length, signal) => {
    if (asked.length >= 25) throw new Failure("COMMUNICATION_FAILURE", "nobody listens");
    return read(holder, offset, length, signal);
  };
  await expect(pull(["dying"], dying)).rejects.toMatchObject({ code: "MODULE_NOT_FOUND", retry: "later" });
  const missing = cache.missing(digest)?.gaps.reduce((sum, [from, to]) => sum + to - from, 0) ?? 0;
  asked.length = 0;
  await pull(["heir"]);
  expect([missing < 40_000, asked.length, await holds()]).toEqual([true, missing / 1_000, true]);
});

test("R11.4: whatever holders lie about, the module is held whole or not at all, and is as long as one is honest", async () => {
  const kinds = fc.constantFrom("honest", "wrong-bytes", "wrong-size", "short", "gone", "huge", "empty");
  await fc.assert(
    fc.asyncProperty(fc.array(kinds, { minLength: 1, maxLength: 6 }), async (holders) => {
      const { cache, digest, read, pull, holds } = await pullLab(6_500);
      const lying: PullOptions["readPiece"] = async (holder, offset, length, signal) => {
        const kind = holder.split(" ")[0];
        const piece = await read(holder, offset, length, signal);
        if (kind === "gone") throw new Failure("MODULE_NOT_FOUND", "not here");
        if (kind === "wrong-size") return { ...piece, sizeBytes: 9_000 };
        if (kind === "huge") return { ...piece, sizeBytes: 1e15 };
        if (kind === "empty") return { bytes: new Uint8Array(), sizeBytes: 0 };
        if (kind === "short") return { ...piece, bytes: piece.bytes.subarray(1) };
        return kind === "wrong-bytes" ? { ...piece, bytes: piece.bytes.fill(7) } : piece;
      };
      const outcome = await pull(
        holders.map((kind, index) => `${kind} ${index}`),
        lying,
      ).then(
        () => "held",
        (error: Failure) => error.code,
      );
      const isHonest = holders.includes("honest");
      expect([outcome, cache.has(digest)]).toEqual(isHonest ? ["held", true] : ["MODULE_NOT_FOUND", false]);
      if (isHonest) expect(await holds()).toBe(true);
      await cache.close();
    }),
    { numRuns: 100 },
  );
});

test("pieces of any cut, in any order and twice, make the module, and what is missing is told until then", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 400 }), async (seed, cut) => {
      const cache = await openModuleCache({ directory: await directory() });
      const bytes = new Uint8Array(randomBytes(1_000));
      const digest = digestOf(bytes);
      const chance = seededChance(seed);
      const offsets = Array.from({ length: Math.ceil(1_000 / cut) }, (_, index) => index * cut);
      const order = [...offsets, ...offsets].map((offset) => ({ offset, rank: chance() }));
      const missing = new Set(offsets);
      for (const { offset } of order.toSorted((one, other) => one.rank - other.rank)) {
        missing.delete(offset);
        const whole = await cache.putPiece(digest, 1_000, offset, bytes.subarray(offset, offset + cut));
        const gaps = cache.missing(digest)?.gaps.reduce((sum, [from, to]) => sum + to - from, 0) ?? 0;
        const left = [...missing].reduce((sum, from) => sum + Math.min(cut, 1_000 - from), 0);
        expect([whole, gaps]).toEqual([missing.size === 0, left]);
      }
      expect(digestOf(await readFile(cache.fileOf(digest)))).toBe(digest);
    }),
    { numRuns: 100 },
  );
});

test("two evictions at once forget no more than one would", async () => {
  const cache = await openModuleCache({ directory: await directory(), bytesMax: 2 });
  for (const byte of [1, 2, 3, 4]) await cache.put(new Uint8Array([byte]));
  const evicted = await Promise.all([cache.evict(() => false), cache.evict(() => false)]);
  expect([evicted.flat().length, cache.list().length]).toEqual([2, 2]);
});

test("turns are given in the order in which they are asked for, so many at once, and failures give theirs back", async () => {
  const inTurn = createTurns(2);
  const begun: number[] = [];
  const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const works = gates.map((gate, index) =>
    inTurn(async () => {
      begun.push(index);
      await gate.promise;
    }).catch(() => undefined),
  );
  expect(begun).toEqual([0, 1]);
  gates[1]?.reject(new Error("failed"));
  await works[1];
  await vi.waitFor(() => expect(begun).toEqual([0, 1, 2]));
  for (const gate of gates) gate.resolve();
  await Promise.all(works);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});
