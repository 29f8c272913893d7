import { cacheLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import type { ModuleCache } from "./module-cache.ts";

/** What a pull needs of the world. */
export interface PullOptions {
  digest: string;
  /** Nodes that are said to hold it, the best first. */
  holders: readonly string[];
  readPiece: (
    holder: string,
    offset: number,
    length: number,
  ) => Promise<{ bytes: Uint8Array; sizeBytes: number }>;
  cache: ModuleCache;
}

/**
 * Fetches a module piece by piece from the first holder that has it, and goes on with the next where one fails.
 * The cache verifies the whole. MODULE_NOT_FOUND when none has it all.
 */
export async function pullModule({ digest, holders, readPiece, cache }: PullOptions): Promise<void> {
  const reasons: string[] = [];
  for (const holder of holders) {
    if (cache.has(digest)) return;
    try {
      await pullFrom(holder);
      if (cache.has(digest)) return;
      reasons.push(`${holder}: its pieces do not make up the module`);
    } catch (error) {
      reasons.push(`${holder}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Failure(
    "MODULE_NOT_FOUND",
    `no node in reach gave ${digest}; ${reasons.join("; ") || "none is known to hold it"}`,
    {
      fix: "Upload it again: wasmatrix module put <file>",
      details: { digest, holders },
    },
  );

  async function pullFrom(holder: string): Promise<void> {
    const first = await readPiece(holder, 0, cacheLimits.pieceBytes);
    const { sizeBytes } = first;
    if (await cache.putPiece(digest, sizeBytes, 0, first.bytes)) return;
    let next = first.bytes.length;
    const fetchOn = async (): Promise<void> => {
      while (next < sizeBytes) {
        const offset = next;
        const length = Math.min(cacheLimits.pieceBytes, sizeBytes - offset);
        next += length;
        const piece = await readPiece(holder, offset, length);
        if (piece.bytes.length !== length)
          throw new Error(`it gave ${piece.bytes.length} of ${length} bytes at ${offset}`);
        await cache.putPiece(digest, sizeBytes, offset, piece.bytes);
      }
    };
    await Promise.all(Array.from({ length: cacheLimits.piecesAtOnce }, fetchOn));
  }
}
