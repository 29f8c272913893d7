import { createHash } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { cacheLimits, moduleLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import { type Missing, openUploads } from "./uploads.ts";

/** Guest bytes on disk, each under the sha256 of what it holds; nothing that is not verified gets a name. */
export interface ModuleCache {
  has(digest: string): boolean;
  /** Bytes of a held module. */
  sizeOf(digest: string): number | undefined;
  /** Where a held module is; counts as a use of it. MODULE_NOT_FOUND for any other. */
  fileOf(digest: string): string;
  /** Keeps a whole module and says its digest. */
  put(bytes: Uint8Array): Promise<string>;
  /**
   * Keeps one piece of a module, in any order; true once the module is whole, verified and held. INVALID_REQUEST
   * for a piece that is not within the module, and when the whole does not have its digest: then all pieces are
   * forgotten. An upload that others crowd out is forgotten too; it then has to send its pieces again.
   */
  putPiece(digest: string, sizeBytes: number, offset: number, bytes: Uint8Array): Promise<boolean>;
  /** What is missing of a module of which pieces are there, from an upload or a pull that was cut short. */
  missing(digest: string): Missing | undefined;
  /** Forgets the pieces of a module that is not whole. */
  abandon(digest: string): void;
  /** Up to `length` bytes from `offset`. MODULE_NOT_FOUND, or INVALID_REQUEST beyond the end. */
  readPiece(
    digest: string,
    offset: number,
    length: number,
  ): Promise<{ bytes: Uint8Array<ArrayBuffer>; sizeBytes: number }>;
  /** Digest and size of each held module, the least recently used first. */
  list(): [digest: string, sizeBytes: number][];
  /** Forgets the least recently used modules until the rest fits; says which. Those in use stay in any case. */
  evict(isInUse: (digest: string) => boolean): Promise<string[]>;
  /** Forgets what is not whole; what is held stays on disk, for the next one to open the directory. */
  close(): Promise<void>;
}

const fileName = /^([0-9a-f]{64})\.wasm$/;

/** Opens the cache of that directory, made if need be; what an interrupted upload left there is removed. */
export async function openModuleCache({
  directory,
  bytesMax = cacheLimits.bytesMaxDefault,
}: {
  directory: string;
  bytesMax?: number;
}): Promise<ModuleCache> {
  await mkdir(directory, { recursive: true });
  // In the order of their last use.
  const sizes = new Map<string, number>();
  for (const name of await readdir(directory)) {
    const hex = fileName.exec(name)?.[1];
    if (hex !== undefined) sizes.set(`sha256:${hex}`, (await stat(join(directory, name))).size);
    else if (name.endsWith(".part")) await rm(join(directory, name), { force: true });
  }
  const pathOf = (digest: string) => join(directory, `${digest.slice("sha256:".length)}.wasm`);
  const evicting = new Map<string, Promise<void>>();
  const keep = async (digest: string, part: string, sizeBytes: number) => {
    // Or the removal of its last life would take it away.
    await evicting.get(digest);
    await rename(part, pathOf(digest));
    sizes.set(digest, sizeBytes);
  };
  const uploads = openUploads({ directory, keep });
  const sizeOf = (digest: string): number => {
    const size = sizes.get(digest);
    if (size === undefined) throw moduleNotFound(digest);
    return size;
  };
  let puts = 0;

  return {
    has: (digest) => sizes.has(digest),
    sizeOf: (digest) => sizes.get(digest),
    fileOf(digest) {
      const size = sizeOf(digest);
      sizes.delete(digest);
      sizes.set(digest, size);
      return pathOf(digest);
    },
    async put(bytes) {
      checkSize(bytes.length);
      const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      if (sizes.has(digest)) return digest;
      const part = join(directory, `whole-${(puts += 1)}.part`);
      const file = await open(part, "w");
      try {
        await file.writeFile(bytes);
        // A name must never stand for bytes that a power cut took away.
        await file.sync();
      } finally {
        await file.close();
      }
      await keep(digest, part, bytes.length);
      return digest;
    },
    async putPiece(digest, sizeBytes, offset, bytes) {
      if (sizes.has(digest)) return true;
      checkSize(sizeBytes);
      return uploads.putPiece(digest, sizeBytes, offset, bytes);
    },
    async readPiece(digest, offset, length) {
      const sizeBytes = sizeOf(digest);
      if (offset >= sizeBytes) {
        throw new Failure("INVALID_REQUEST", `offset ${offset} is beyond the module's ${sizeBytes} bytes`, {
          fix: "Read from 0 up to its size.",
        });
      }
      const bytes = new Uint8Array(Math.min(length, sizeBytes - offset, cacheLimits.pieceBytes));
      const file = await open(pathOf(digest), "r").catch((error: NodeJS.ErrnoException) => {
        throw error.code === "ENOENT" ? moduleNotFound(digest) : error;
      });
      try {
        const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
        return { bytes: bytes.subarray(0, bytesRead), sizeBytes };
      } finally {
        await file.close();
      }
    },
    close: () => uploads.close(),
    missing: (digest) => uploads.missing(digest),
    abandon: (digest) => uploads.abandon(digest),
    list: () => [...sizes],
    async evict(isInUse) {
      let total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
      const evicted: string[] = [];
      // Chosen in one go: another eviction must not count what this one has decided.
      for (const [digest, size] of sizes) {
        if (total <= bytesMax) break;
        if (isInUse(digest)) continue;
        sizes.delete(digest);
        total -= size;
        evicted.push(digest);
      }
      await Promise.all(
        evicted.map(async (digest) => {
          const removal = rm(pathOf(digest), { force: true });
          evicting.set(digest, removal);
          await removal;
          if (evicting.get(digest) === removal) evicting.delete(digest);
        }),
      );
      return evicted;
    },
  };
}

/** The failure of a digest that nobody in reach holds. */
export function moduleNotFound(digest: string): Failure {
  return new Failure("MODULE_NOT_FOUND", `no module ${digest} is held here`, {
    fix: "Upload it first: wasmatrix module put <file>",
    details: { digest },
  });
}

function checkSize(sizeBytes: number): void {
  if (sizeBytes >= 1 && sizeBytes <= moduleLimits.moduleBytesMax) return;
  throw new Failure(
    "INVALID_MODULE",
    `a module has 1 to ${moduleLimits.moduleBytesMax} bytes, not ${sizeBytes}`,
    {
      fix: "Strip debug sections (wasm-opt --strip-debug), or split the guest.",
    },
  );
}
