import type { ByteSource, ByteStreams } from "../../src/byte-source.ts";
import { Failure } from "../../src/protocol/errors.ts";

/** A source that tells what became of it. */
export interface WatchedSource extends ByteSource {
  readonly bytesGiven: number;
  readonly cancelledBecause: string | undefined;
}

/** Gives the pieces, cut where the reader wants less, and then ends or breaks. */
export function watchedSource(pieces: Iterable<Uint8Array>, failure?: Failure): WatchedSource {
  const iterator = pieces[Symbol.iterator]();
  let rest: Uint8Array | undefined;
  let bytesGiven = 0;
  let cancelledBecause: string | undefined;
  return {
    get bytesGiven() {
      return bytesGiven;
    },
    get cancelledBecause() {
      return cancelledBecause;
    },
    async read(bytesMax) {
      if (rest === undefined || rest.length === 0) {
        const next = iterator.next();
        if (next.done === true) {
          if (failure !== undefined) throw failure;
          return undefined;
        }
        rest = next.value;
      }
      const piece = rest.subarray(0, bytesMax);
      rest = rest.subarray(piece.length);
      bytesGiven += piece.length;
      return piece;
    },
    cancel(reason) {
      cancelledBecause ??= reason;
    },
  };
}

/** Streams within a test: what is served under a reference can be opened under it, once. */
export function memoryStreams(): ByteStreams {
  const served = new Map<string, ByteSource>();
  let count = 0;
  return {
    serve(source) {
      count += 1;
      const ref = `test.s${count}`;
      served.set(ref, source);
      return ref;
    },
    open(ref) {
      const source = served.get(ref);
      if (source === undefined)
        throw new Failure("INVALID_REQUEST", "nothing is served there", { fix: "Serve it." });
      served.delete(ref);
      return source;
    },
  };
}

/** All that a source gives, in pieces of at most that size. */
export async function drained(source: ByteSource, bytesMax = 65_536): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = await source.read(bytesMax);
    if (piece === undefined) return new Uint8Array(Buffer.concat(pieces));
    if (piece.length === 0 || piece.length > bytesMax) throw new Error(`a piece of ${piece.length} bytes`);
    pieces.push(new Uint8Array(piece));
  }
}
