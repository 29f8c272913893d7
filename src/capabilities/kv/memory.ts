import { type Clock, systemClock } from "../../clock.ts";
import { kvLimits } from "../../limits.ts";
import { type Buckets, type Entry, createBuckets } from "./buckets.ts";
import type { KvReply, KvRequest, Versioned } from "./contract.ts";
import { type KvLimits, exhausted } from "./failures.ts";
import { incremented } from "./increment.ts";
import { type KvCapability, kvCapability } from "./kv-capability.ts";
import { fewerAtOnce } from "./parse-request.ts";

/** What a memory kv is made with. */
export interface MemoryKvOptions {
  readonly limits?: KvLimits;
  readonly clock?: Clock;
}

/**
 * The key-value capability in the memory of this process: gone when the process ends, and needing nothing else.
 * Operations and their errors are those of the contract; a write beyond a limit gets RESOURCE_EXHAUSTED.
 */
export function createMemoryKv(options: MemoryKvOptions = {}): KvCapability {
  const limits = options.limits ?? kvLimits;
  const buckets = createBuckets(limits);
  // Of this life: a revision of the store before it must not fit by chance after a restart.
  const life = (options.clock ?? systemClock).now().toString(36);
  const revisionText = (revision: number) => `${life}-${revision}`;
  return kvCapability(
    {
      perform: (bucket, request) => perform(buckets, bucket, request, limits, revisionText),
      async check() {},
      async close() {
        buckets.clear();
      },
    },
    limits,
  );
}

/** Runs to its end in one turn of the event loop: that is what makes each operation atomic. */
function perform(
  buckets: Buckets,
  bucket: string,
  request: KvRequest,
  limits: KvLimits,
  revisionText: (revision: number) => string,
): KvReply {
  switch (request.operation) {
    case "get":
      return { value: buckets.get(bucket, request.key)?.value ?? null };
    case "get-revision":
      return versioned(buckets.get(bucket, request.key), revisionText);
    case "set":
      buckets.set(bucket, request.key, request.value);
      return {};
    case "swap": {
      const present = versioned(buckets.get(bucket, request.key), revisionText);
      if (present.revision !== request.revision) return { swapped: false, ...present };
      return { swapped: true, revision: revisionText(buckets.set(bucket, request.key, request.value)) };
    }
    case "delete":
      return { deleted: buckets.delete(bucket, request.key) };
    case "exists":
      return { exists: buckets.get(bucket, request.key) !== undefined };
    case "list":
      return buckets.list(bucket, request);
    case "increment": {
      const value = incremented(buckets.get(bucket, request.key)?.value, request.by, request.key);
      buckets.set(bucket, request.key, new TextEncoder().encode(String(value)));
      return { value };
    }
    case "get-many":
      return getMany(buckets, bucket, request.keys, limits);
    case "set-many":
      for (const [key, value] of request.entries) buckets.set(bucket, key, value);
      return {};
    case "delete-many":
      return { deleted: [...request.keys].filter((key) => buckets.delete(bucket, key)).length };
  }
}

function versioned(entry: Entry | undefined, revisionText: (revision: number) => string): Versioned {
  if (entry === undefined) return { value: null, revision: null };
  return { value: entry.value, revision: revisionText(entry.revision) };
}

function getMany(buckets: Buckets, bucket: string, keys: readonly string[], limits: KvLimits): KvReply {
  let bytes = 0;
  const values = keys.map((key) => {
    const value = buckets.get(bucket, key)?.value ?? null;
    bytes += Buffer.byteLength(key) + (value?.byteLength ?? 0);
    if (bytes > limits.batchBytesMax) throw exhausted("batchBytesMax", limits, fewerAtOnce, "never");
    return { key, value };
  });
  return { values };
}
