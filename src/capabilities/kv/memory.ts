import { kvLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import type { Capability } from "../capability.ts";
import { type Buckets, type KvLimits, createBuckets } from "./buckets.ts";
import {
  type KvReply,
  type KvRequest,
  encodeKvReply,
  incremented,
  kvBucket,
  parseKvRequest,
} from "./contract.ts";

/** What a memory kv is made with. */
export interface MemoryKvOptions {
  readonly limits?: KvLimits;
}

/**
 * The key-value capability in the memory of this process: gone when the process ends, and needing nothing else.
 * Operations and their errors are those of the contract; a write beyond a limit gets RESOURCE_EXHAUSTED.
 */
export function createMemoryKv(options: MemoryKvOptions = {}): Capability {
  const buckets = createBuckets(options.limits ?? kvLimits);
  let closed = false;
  return {
    providerType: "kv",
    async call(scope, operation, payload) {
      if (closed) throw stopped();
      const bucket = kvBucket(scope);
      const { request, form } = parseKvRequest(operation, payload);
      return encodeKvReply(perform(buckets, bucket, request), form);
    },
    async close() {
      closed = true;
      buckets.clear();
    },
  };
}

/** Runs to its end in one turn of the event loop: that is what makes each operation atomic. */
function perform(buckets: Buckets, bucket: string, request: KvRequest): KvReply {
  switch (request.operation) {
    case "get":
      return { value: buckets.get(bucket, request.key) ?? null };
    case "set":
      buckets.set(bucket, request.key, request.value);
      return {};
    case "delete":
      return { deleted: buckets.delete(bucket, request.key) };
    case "exists":
      return { exists: buckets.get(bucket, request.key) !== undefined };
    case "list":
      return buckets.list(bucket, request);
    case "increment": {
      const value = incremented(buckets.get(bucket, request.key), request.by, request.key);
      buckets.set(bucket, request.key, new TextEncoder().encode(String(value)));
      return { value };
    }
  }
}

function stopped(): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", "this kv store is closed", {
    fix: "Start the kv provider again, or assign another one.",
  });
}
