import type { kvLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { positionOf } from "./key-order.ts";

/** How much a store in memory holds; `kvLimits` unless a test wants to reach them. */
export type KvLimits = { readonly [name in keyof typeof kvLimits]: number };

/** Keys and values by bucket. Writes that a limit forbids throw RESOURCE_EXHAUSTED and change nothing. */
export interface Buckets {
  get(bucket: string, key: string): Uint8Array | undefined;
  /** Keeps `value` itself, not a copy. */
  set(bucket: string, key: string, value: Uint8Array): void;
  delete(bucket: string, key: string): boolean;
  list(bucket: string, query: KeyQuery): { keys: string[]; next?: string };
  clear(): void;
}

/** Which keys a list wants: those that begin with `prefix` and come behind `after`. */
export interface KeyQuery {
  readonly prefix: string;
  readonly after: string | undefined;
  readonly limit: number;
}

interface Bucket {
  readonly values: Map<string, Uint8Array>;
  /** The keys of `values`, in order, so that a page costs no sorting. */
  readonly keys: string[];
  bytes: number;
}

/** Empty buckets; one exists while it has a key. */
export function createBuckets(limits: KvLimits): Buckets {
  const buckets = new Map<string, Bucket>();
  let bytesHeld = 0;

  function admit(bucket: Bucket | undefined, isNew: boolean, growth: number, valueBytes: number): void {
    if (valueBytes > limits.valueBytesMax) {
      throw exhausted("valueBytesMax", limits, "Split the value over several keys.", "never");
    }
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
    get: (name, key) => buckets.get(name)?.values.get(key),

    set(name, key, value) {
      let bucket = buckets.get(name);
      const old = bucket?.values.get(key);
      const growth =
        old === undefined ? Buffer.byteLength(key) + value.byteLength : value.byteLength - old.byteLength;
      admit(bucket, old === undefined, growth, value.byteLength);
      if (bucket === undefined) {
        bucket = { values: new Map(), keys: [], bytes: 0 };
        buckets.set(name, bucket);
      }
      if (old === undefined) {
        bucket.keys.splice(positionOf(bucket.keys, key), 0, key);
        bytesHeld += limits.entryOverheadBytes;
      }
      bucket.values.set(key, value);
      bucket.bytes += growth;
      bytesHeld += growth;
    },

    delete(name, key) {
      const bucket = buckets.get(name);
      const old = bucket?.values.get(key);
      if (bucket === undefined || old === undefined) return false;
      bucket.values.delete(key);
      bucket.keys.splice(positionOf(bucket.keys, key), 1);
      const freed = old.byteLength + Buffer.byteLength(key);
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

function page(
  ordered: readonly string[],
  query: KeyQuery,
  bytesMax: number,
): { keys: string[]; next?: string } {
  const { prefix, after, limit } = query;
  const keys: string[] = [];
  let bytes = 0;
  // Keys with one prefix are neighbours.
  let index = positionOf(ordered, prefix);
  if (after !== undefined) {
    let behind = positionOf(ordered, after);
    if (ordered[behind] === after) behind += 1;
    index = Math.max(index, behind);
  }
  for (; index < ordered.length; index += 1) {
    const key = ordered[index]!;
    if (!key.startsWith(prefix)) break;
    bytes += Buffer.byteLength(key);
    const last = keys.at(-1);
    if (last !== undefined && (keys.length === limit || bytes > bytesMax)) return { keys, next: last };
    keys.push(key);
  }
  return { keys };
}

function exhausted(
  limit: keyof KvLimits,
  limits: KvLimits,
  fix: string,
  retry: "never" | "later" = "later",
): Failure {
  const max = limits[limit];
  return new Failure("RESOURCE_EXHAUSTED", `kv: this would exceed ${limit}, ${max}`, {
    fix,
    details: { limit, max },
    retry,
  });
}
