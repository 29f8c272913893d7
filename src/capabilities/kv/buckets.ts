import type { KeyPage, KeyQuery } from "./contract.ts";
import { type KvLimits, exhausted } from "./failures.ts";
import { pageOf, positionOf } from "./key-order.ts";

/** Keys and values by bucket. Writes that a limit forbids throw RESOURCE_EXHAUSTED and change nothing. */
export interface Buckets {
  get(bucket: string, key: string): Entry | undefined;
  /** Keeps `value` itself, not a copy. Returns the revision, which is higher than any before. */
  set(bucket: string, key: string, value: Uint8Array): number;
  delete(bucket: string, key: string): boolean;
  list(bucket: string, query: KeyQuery): KeyPage;
  clear(): void;
}

/** A value and the number of the write that made it. */
export interface Entry {
  readonly value: Uint8Array;
  readonly revision: number;
}

interface Bucket {
  readonly entries: Map<string, Entry>;
  /** The keys of `entries`, in order, so that a page costs no sorting. */
  readonly keys: string[];
  bytes: number;
}

/** Empty buckets; one exists while it has a key. */
export function createBuckets(limits: KvLimits): Buckets {
  const buckets = new Map<string, Bucket>();
  let bytesHeld = 0;
  let revision = 0;

  function admit(bucket: Bucket | undefined, isNew: boolean, growth: number): void {
    if (bucket === undefined && buckets.size >= limits.bucketsMax) {
      throw exhausted(
        "bucketsMax",
        limits,
        "Give assignments the same bucket, or start another kv provider.",
      );
    }
    if (isNew && (bucket?.keys.length ?? 0) >= limits.keysPerBucketMax) {
      throw exhausted("keysPerBucketMax", limits, "Delete keys, or spread them over several buckets.");
    }
    if ((bucket?.bytes ?? 0) + growth > limits.bytesPerBucketMax) {
      throw exhausted("bytesPerBucketMax", limits, "Delete keys, or spread them over several buckets.");
    }
    if (bytesHeld + growth + (isNew ? limits.entryOverheadBytes : 0) > limits.bytesMax) {
      throw exhausted("bytesMax", limits, "Delete keys, or start another kv provider.");
    }
  }

  return {
    get: (name, key) => buckets.get(name)?.entries.get(key),

    set(name, key, value) {
      let bucket = buckets.get(name);
      const old = bucket?.entries.get(key);
      const growth = value.byteLength + (old === undefined ? Buffer.byteLength(key) : -old.value.byteLength);
      admit(bucket, old === undefined, growth);
      if (bucket === undefined) {
        bucket = { entries: new Map(), keys: [], bytes: 0 };
        buckets.set(name, bucket);
      }
      if (old === undefined) {
        bucket.keys.splice(positionOf(bucket.keys, key), 0, key);
        bytesHeld += limits.entryOverheadBytes;
      }
      revision += 1;
      bucket.entries.set(key, { value, revision });
      bucket.bytes += growth;
      bytesHeld += growth;
      return revision;
    },

    delete(name, key) {
      const bucket = buckets.get(name);
      const old = bucket?.entries.get(key);
      if (bucket === undefined || old === undefined) return false;
      bucket.entries.delete(key);
      bucket.keys.splice(positionOf(bucket.keys, key), 1);
      const freed = old.value.byteLength + Buffer.byteLength(key);
      bucket.bytes -= freed;
      bytesHeld -= freed + limits.entryOverheadBytes;
      if (bucket.keys.length === 0) buckets.delete(name);
      return true;
    },

    list: (name, query) => page(buckets.get(name)?.keys ?? [], query, limits.listBytesMax),

    clear() {
      buckets.clear();
      bytesHeld = 0;
    },
  };
}

function page(ordered: readonly string[], query: KeyQuery, bytesMax: number): KeyPage {
  const { prefix, after } = query;
  // Keys with one prefix are neighbours.
  let index = positionOf(ordered, prefix);
  if (after !== undefined) {
    let behind = positionOf(ordered, after);
    if (ordered[behind] === after) behind += 1;
    index = Math.max(index, behind);
  }
  const ahead = ordered.slice(index, index + query.limit + 1);
  const end = ahead.findIndex((key) => !key.startsWith(prefix));
  return pageOf(end === -1 ? ahead : ahead.slice(0, end), query.limit, bytesMax);
}
