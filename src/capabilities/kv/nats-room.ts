import type { JetStreamManager } from "@nats-io/jetstream";
import { natsKvLimits } from "../../limits.ts";
import { type KvLimits, exhausted } from "./failures.ts";
import { natsKey } from "./nats-names.ts";

/** How much a bucket may still grow. */
export interface Room {
  /**
   * Rejects with RESOURCE_EXHAUSTED if the write would take the bucket beyond `bytesPerBucketMax`. `held` gives what the
   * key has now, which is asked for only when that decides.
   */
  admit(key: string, value: Uint8Array, held: () => Promise<Uint8Array | undefined>): Promise<void>;
}

/**
 * The room of one bucket, counted here and not with the server's `max_bytes`: nats-server 2.9.10 leaves its own
 * overhead out when it compares, and once the limit is passed it silently drops the oldest keys (measured).
 *
 * What the bucket has is asked for after each share of its limit that this process wrote; so several processes may
 * go beyond the limit by a share each.
 */
export function createRoom(jsm: JetStreamManager, bucketName: string, limits: KvLimits): Room {
  const bytesMax = limits.bytesPerBucketMax;
  const share = bytesMax / natsKvLimits.sharesPerBucket;
  let left = 0;

  const sizeOf = (key: string, value: Uint8Array) =>
    natsKey(key).length + value.byteLength + natsKvLimits.entryOverheadBytes;

  return {
    async admit(key, value, held) {
      const needed = sizeOf(key, value);
      if (needed > left) {
        const { state } = await jsm.streams.info(`KV_${bucketName}`);
        const free = bytesMax - state.bytes;
        if (needed > free) {
          const old = await held();
          if (old === undefined || needed > free + sizeOf(key, old)) {
            throw exhausted("bytesPerBucketMax", limits, "Delete keys, or spread them over several buckets.");
          }
        }
        left = Math.max(needed, Math.min(free, share));
      }
      left -= needed;
    },
  };
}
