import type { ByteSource } from "../../byte-source.ts";

/** Bytes that are at hand, as a source; `chunks` must not change any more. */
export function sourceOfChunks(chunks: readonly Uint8Array[], start: number, length: number): ByteSource {
  let index = 0;
  let offset = start;
  let left = length;
  return {
    async read(bytesMax) {
      for (; left > 0; index += 1) {
        const chunk = chunks[index];
        if (chunk === undefined) return undefined;
        if (offset < chunk.length) {
          const piece = chunk.subarray(offset, offset + Math.min(bytesMax, left));
          offset += piece.length;
          left -= piece.length;
          return piece;
        }
        offset -= chunk.length;
      }
      return undefined;
    },
    cancel() {
      left = 0;
    },
  };
}

/**
 * What a source gives, in chunks of that size, the last of them shorter: a guest may write byte by byte, and each piece
 * kept for itself would cost a hundred times its size. Every chunk has memory of its own.
 */
export async function* chunksOf(source: ByteSource, chunkBytes: number): AsyncGenerator<Uint8Array, void> {
  let chunk: Uint8Array | undefined;
  let filled = 0;
  for (;;) {
    const piece = await source.read(chunkBytes - filled);
    if (piece === undefined) break;
    chunk ??= new Uint8Array(chunkBytes);
    chunk.set(piece, filled);
    filled += piece.length;
    if (filled < chunkBytes) continue;
    yield chunk;
    chunk = undefined;
    filled = 0;
  }
  if (chunk !== undefined) yield chunk.slice(0, filled);
}

/** All that a source gives; it must be known to be little. */
export async function readAll(source: ByteSource, bytesMax: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = await source.read(bytesMax);
    if (piece === undefined) return new Uint8Array(Buffer.concat(pieces));
    pieces.push(piece);
  }
}
