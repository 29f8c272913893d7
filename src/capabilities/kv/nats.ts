import { type JetStreamClient, type JetStreamManager, jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import type { Clock } from "../../clock.ts";
import { kvLimits, natsKvLimits } from "../../limits.ts";
import type { KvReply, KvRequest } from "./contract.ts";
import { type KvLimits, exhausted } from "./failures.ts";
import { type KvCapability, kvCapability } from "./kv-capability.ts";
import { type NatsBucket, increment, read, readVersioned, remove, swap, write } from "./nats-bucket.ts";
import { assertReplicas } from "../jetstream.ts";
import { isGone, kvStore, natsFailure } from "./nats-failures.ts";
import { listKeys } from "./nats-list.ts";
import { natsBucketName } from "./nats-names.ts";
import { openBucket } from "./open-nats-bucket.ts";
import { fewerAtOnce } from "./parse-request.ts";

/** What a kv in JetStream is made with. */
export interface NatsKvOptions {
  /** Whoever made it closes it, after this. */
  readonly connection: NatsConnection;
  readonly clock: Clock;
  /**
   * Servers that hold each bucket: 1 (default), 3 or 5, no more than the cluster has. Counts for new buckets. More
   * than 1 only from nats-server 2.10.19 on: older ones lose updates then, and are refused with INVALID_REQUEST.
   */
  readonly replicas?: number;
  /** `file` (default), or `memory`, which a restart of the server empties. Counts for new buckets. */
  readonly storage?: "file" | "memory";
  readonly limits?: KvLimits;
}

/**
 * The key-value capability in NATS JetStream (nats-server ≥ 2.9): it lasts, and all processes on that server share
 * it. A bucket is a JetStream KV bucket of its own, made at its first use, in which `nats kv` finds the keys with
 * slashes as dots. Reads are answered by the leader of the bucket, so they see every write that was acknowledged.
 *
 * A bucket takes `keysPerBucketMax` keys, and `bytesPerBucketMax` bytes as JetStream counts them, with some 100 per key;
 * several processes together may go beyond that by a sixteenth each. A listing looks at all keys of the bucket, or at
 * those below the last slash of its prefix.
 *
 * Rejects, as each call does, with PROVIDER_UNAVAILABLE where there is no JetStream and COMMUNICATION_FAILURE where
 * NATS does not answer within `requestTimeoutMs`; a write may then have been done.
 */
export async function createNatsKv(options: NatsKvOptions): Promise<KvCapability> {
  const limits = options.limits ?? kvLimits;
  const js = jetstream(options.connection, { timeout: natsKvLimits.requestTimeoutMs });
  try {
    assertReplicas(kvStore, options.replicas ?? 1, options.connection.info?.version ?? "");
    const jsm = await js.jetstreamManager(true);
    return kvCapability(natsStore(options, limits, js, jsm), limits);
  } catch (error) {
    throw natsFailure(error, limits);
  }
}

function natsStore(options: NatsKvOptions, limits: KvLimits, js: JetStreamClient, jsm: JetStreamManager) {
  const known = new Map<string, Promise<NatsBucket>>();
  const inTurn = createTurns();

  function bucketOf(bucket: string): Promise<NatsBucket> {
    const found = known.get(bucket);
    if (found !== undefined) return found;
    const opening = openBucket({ ...options, limits, js, jsm }, natsBucketName(bucket));
    const [oldest] = known.keys();
    if (known.size >= natsKvLimits.bucketsKnownMax && oldest !== undefined) known.delete(oldest);
    known.set(bucket, opening);
    opening.catch(() => known.delete(bucket));
    return opening;
  }

  async function perform(bucket: string, request: KvRequest): Promise<KvReply> {
    const opened = await bucketOf(bucket);
    if (request.operation === "list") {
      return listKeys({ js, jsm, clock: options.clock, limits }, opened.name, request);
    }
    if (request.operation === "increment") {
      const { key, by } = request;
      return { value: await inTurn(`${bucket}/${key}`, () => increment(opened, key, by)) };
    }
    return performIn(opened, request, limits);
  }

  return {
    async perform(bucket: string, request: KvRequest): Promise<KvReply> {
      for (let tries = 1; ; tries += 1) {
        try {
          return await perform(bucket, request);
        } catch (error) {
          // Somebody deleted the bucket: nothing was done.
          if (!isGone(error) || tries > 1) throw natsFailure(error, limits);
          known.delete(bucket);
        }
      }
    },
    async check() {
      try {
        await jsm.getAccountInfo();
      } catch (error) {
        throw natsFailure(error, limits);
      }
    },
    async close() {
      known.clear();
    },
  };
}

async function performIn(
  bucket: NatsBucket,
  request: Exclude<KvRequest, { operation: "list" | "increment" }>,
  limits: KvLimits,
): Promise<KvReply> {
  switch (request.operation) {
    case "get":
      return { value: (await read(bucket, request.key)) ?? null };
    case "get-revision":
      return readVersioned(bucket, request.key);
    case "exists":
      return { exists: (await read(bucket, request.key)) !== undefined };
    case "set":
      await write(bucket, request.key, request.value);
      return {};
    case "swap":
      return swap(bucket, request.key, request.value, request.revision);
    case "delete":
      return { deleted: await remove(bucket, request.key) };
    case "get-many": {
      let bytes = 0;
      const values = await inWaves(request.keys, async (key) => {
        const value = (await read(bucket, key)) ?? null;
        bytes += Buffer.byteLength(key) + (value?.byteLength ?? 0);
        if (bytes > limits.batchBytesMax) throw exhausted("batchBytesMax", limits, fewerAtOnce, "never");
        return { key, value };
      });
      return { values };
    }
    case "set-many":
      await inWaves(request.entries, ([key, value]) => write(bucket, key, value));
      return {};
    case "delete-many": {
      const deleted = await inWaves(request.keys, (key) => remove(bucket, key));
      return { deleted: deleted.filter(Boolean).length };
    }
  }
}

/** In the order of the items, `batchWidth` at a time; all that began have ended when it rejects. */
async function inWaves<Item, Result>(
  items: Iterable<Item>,
  perform: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const left = [...items];
  const results: Result[] = [];
  while (left.length > 0) {
    const wave = await Promise.allSettled(left.splice(0, natsKvLimits.batchWidth).map(perform));
    for (const outcome of wave) {
      if (outcome.status === "rejected") throw outcome.reason;
      results.push(outcome.value);
    }
  }
  return results;
}

/** Runs the tasks of one key one after another; without it many increments at once would mostly meet each other. */
function createTurns() {
  const last = new Map<string, Promise<unknown>>();
  return async <Result>(key: string, task: () => Promise<Result>): Promise<Result> => {
    const before = last.get(key);
    const running = (async () => {
      await before?.catch(() => {});
      return task();
    })();
    last.set(key, running);
    try {
      return await running;
    } finally {
      if (last.get(key) === running) last.delete(key);
    }
  };
}
