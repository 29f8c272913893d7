import { TimeoutError } from "nats";
import type { ByteSource } from "../../byte-source.ts";
import { gone } from "./failures.ts";
import { isNoStore, natsFailure } from "./nats-failures.ts";
import { chunkSubject, streamOf } from "./nats-names.ts";
import type { NatsObjects, ObjectMeta } from "./nats-objects.ts";

const nothing = new Uint8Array(0);

/**
 * The bytes of an object, chunk by chunk as they are read: the library's `get` has the server push them all, however
 * slowly they are taken, and waits for ever for those of an object that is replaced meanwhile.
 */
export function readObject(
  objects: NatsObjects,
  store: string,
  meta: ObjectMeta,
  start: number,
  length: number,
): ByteSource {
  let sequence = 0;
  let skip = start;
  let left = length;
  let chunk: Uint8Array = nothing;

  async function nextChunk(): Promise<Uint8Array> {
    const found = await chunkAfter(objects, store, meta.nuid, sequence);
    if (found === undefined) throw gone(meta.name);
    ({ sequence } = found);
    return found.data;
  }

  return {
    async read(bytesMax) {
      try {
        while (left > 0 && chunk.length === 0) {
          const next = await nextChunk();
          chunk = next.subarray(Math.min(skip, next.length));
          skip -= next.length - chunk.length;
        }
      } catch (error) {
        throw isNoStore(error) ? gone(meta.name) : natsFailure(error, objects.limits);
      }
      if (left === 0) return undefined;
      const piece = chunk.subarray(0, Math.min(bytesMax, left));
      chunk = chunk.subarray(piece.length);
      left -= piece.length;
      return piece;
    },
    cancel() {
      left = 0;
      chunk = nothing;
    },
  };
}

async function chunkAfter(
  { jsm }: NatsObjects,
  store: string,
  nuid: string,
  sequence: number,
): Promise<{ data: Uint8Array; sequence: number } | undefined> {
  const query = { seq: sequence + 1, next_by_subj: chunkSubject(store, nuid) };
  const stream = streamOf(store);
  // Chunks are written once, so what a replica has is right; what it does not have yet, the leader does.
  // Where the stream is gone, the server lets a direct get time out and answers only the other one.
  const direct = await jsm.direct.getMessage(stream, query).catch((error: unknown) => {
    if (error instanceof TimeoutError) return null;
    throw error;
  });
  const found = direct ?? (await jsm.streams.getMessage(stream, query));
  return found === null ? undefined : { data: found.data, sequence: found.seq };
}
