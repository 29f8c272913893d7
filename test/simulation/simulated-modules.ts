import { createHash } from "node:crypto";
import type { ModuleCache } from "../../src/modules/module-cache.ts";
import { moduleNotFound } from "../../src/modules/module-cache.ts";

/** The modules on a machine's disk, by digest; they outlast the processes that use them. */
export type SimulatedDisk = Map<string, Uint8Array>;

/** The digest under which these bytes are held. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A module cache of one process on that disk. Pieces must come in order, and nothing is ever evicted. */
export function openSimulatedModules(disk: SimulatedDisk): ModuleCache {
  const parts = new Map<string, Uint8Array>();
  const held = (digest: string): Uint8Array => {
    const bytes = disk.get(digest);
    if (bytes === undefined) throw moduleNotFound(digest);
    return bytes;
  };
  return {
    has: (digest) => disk.has(digest),
    sizeOf: (digest) => disk.get(digest)?.length,
    fileOf: (digest) => (held(digest), `disk:${digest}`),
    async put(bytes) {
      disk.set(digestOf(bytes), new Uint8Array(bytes));
      return digestOf(bytes);
    },
    async putPiece(digest, sizeBytes, offset, bytes) {
      if (disk.has(digest)) return true;
      const before = (parts.get(digest) ?? new Uint8Array(0)).subarray(0, offset);
      const now = Buffer.concat([before, bytes]);
      parts.set(digest, now);
      if (now.length < sizeBytes) return false;
      parts.delete(digest);
      disk.set(digest, new Uint8Array(now));
      return true;
    },
    async readPiece(digest, offset, length) {
      const bytes = held(digest);
      return { bytes: new Uint8Array(bytes.subarray(offset, offset + length)), sizeBytes: bytes.length };
    },
    missing: () => undefined,
    abandon: (digest) => void parts.delete(digest),
    list: () => [...disk].map(([digest, bytes]) => [digest, bytes.length]),
    evict: async () => [],
    close: async () => {},
  };
}
