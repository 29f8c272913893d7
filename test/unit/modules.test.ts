import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cacheLimits } from "../../src/limits.ts";
import { type ModuleCache, openModuleCache } from "../../src/modules/module-cache.ts";
import { pullModule } from "../../src/modules/pull.ts";

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
    readPiece: async (holder) => Promise.reject(new Error(`${holder} is busy`)),
  });
  await expect(pulled).rejects.toMatchObject({
    code: "MODULE_NOT_FOUND",
    message: expect.stringContaining("n2: n2 is busy"),
  });
});
