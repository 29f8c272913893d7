import type { RedisArgument } from "@redis/client";
import type { Clock } from "../../clock.ts";
import { kvLimits } from "../../limits.ts";
import type { KeyPage, KeyQuery, KvReply, KvRequest, Versioned } from "./contract.ts";
import { type KvLimits, exhausted } from "./failures.ts";
import { beyondRange, notAnInteger } from "./increment.ts";
import { compareKeys, pageOf } from "./key-order.ts";
import { type KvCapability, kvCapability } from "./kv-capability.ts";
import { fewerAtOnce } from "./parse-request.ts";
import { type RedisConnection, createRedisConnection } from "./redis-connection.ts";
import { evicts, nonsense } from "./redis-failures.ts";
import { deleteScript, getManyScript, incrementScript, setScript, swapScript } from "./redis-scripts.ts";

/** What a kv in Redis is made with. */
export interface RedisKvOptions {
  /** `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS. Never in a log or an error. */
  readonly url: string;
  readonly clock: Clock;
  readonly limits?: KvLimits;
}

/**
 * The key-value capability in Redis ≥ 6 or Valkey: it lasts as long as that server's data, and all processes that use
 * the server share it. Of a bucket the limits of keys, values and batches count; how much it holds is up to
 * `maxmemory` of the server, whose policy must be `noeviction`. The batches are atomic here. A user with an ACL needs
 * the keys `wasmatrix:kv:*` and `ping info time eval evalsha get set hget hset hdel hexists hstrlen hmget zadd zrem
 * zrangebylex`.
 *
 * Resolves once the server answered; rejects with INVALID_REQUEST for a URL of something else, and like every call
 * with COMMUNICATION_FAILURE where the server is not reached within `connectTimeoutMs` or silent for
 * `commandTimeoutMs`, PROVIDER_UNAVAILABLE where it refuses. A write that failed so may have been done.
 */
export async function createRedisKv(options: RedisKvOptions): Promise<KvCapability> {
  const limits = options.limits ?? kvLimits;
  const redis = createRedisConnection(options.url, options.clock);
  try {
    await redis.send(["PING"]);
  } catch (error) {
    redis.close();
    throw error;
  }
  return kvCapability(
    {
      async perform(bucket, request) {
        try {
          return await perform(redis, keysOf(bucket), request, limits);
        } catch (error) {
          throw error instanceof TypeError ? nonsense(redis.server, error) : error;
        }
      },
      check: () => check(redis),
      async close() {
        redis.close();
      },
    },
    limits,
  );
}

/** Values, order and last revision of a bucket, in the order that the scripts want. */
type BucketKeys = readonly [values: string, order: string, last: string];

function keysOf(bucket: string): BucketKeys {
  // The braces make a cluster keep the three on one node. They are in no id.
  const stem = `wasmatrix:kv:{${bucket}}:`;
  return [`${stem}values`, `${stem}keys`, `${stem}revision`];
}

async function perform(
  redis: RedisConnection,
  keys: BucketKeys,
  request: KvRequest,
  limits: KvLimits,
): Promise<KvReply> {
  const [values] = keys;
  switch (request.operation) {
    case "get":
      return { value: versioned(await redis.send(["HGET", values, request.key])).value };
    case "get-revision":
      return versioned(await redis.send(["HGET", values, request.key]));
    case "exists":
      return { exists: (await redis.send(["HEXISTS", values, request.key])) === 1 };
    case "set":
      await redis.run(setScript, keys, [request.key, asBuffer(request.value)]);
      return {};
    case "swap": {
      const { key, value, revision } = request;
      const [swapped, held] = (await redis.run(swapScript, keys, [key, asBuffer(value), revision ?? ""])) as [
        number,
        unknown,
      ];
      return swapped === 1
        ? { swapped: true, revision: String(held) }
        : { swapped: false, ...versioned(held) };
    }
    case "delete":
      return { deleted: (await redis.run(deleteScript, keys, [request.key])) === 1 };
    case "list":
      return list(redis, keys, request, limits);
    case "increment":
      return { value: await increment(redis, keys, request.key, request.by) };
    case "get-many":
      return { values: await getMany(redis, keys, request.keys, limits) };
    case "set-many": {
      const pairs = [...request.entries].flatMap(([key, value]) => [key, asBuffer(value)]);
      await redis.run(setScript, keys, pairs);
      return {};
    }
    case "delete-many":
      return { deleted: (await redis.run(deleteScript, keys, [...request.keys])) as number };
  }
}

async function increment(redis: RedisConnection, keys: BucketKeys, key: string, by: number): Promise<number> {
  const [outcome, sum] = (await redis.run(incrementScript, keys, [key, String(by)])) as [Buffer, Buffer];
  const word = outcome.toString();
  if (word === "text") throw notAnInteger(key);
  if (word === "range") throw beyondRange(key);
  return Number(sum.toString());
}

async function list(
  redis: RedisConnection,
  [, order]: BucketKeys,
  { prefix, after, limit }: KeyQuery,
  limits: KvLimits,
): Promise<KeyPage> {
  let from: RedisArgument = prefix === "" ? "-" : `[${prefix}`;
  if (after !== undefined && compareKeys(after, prefix) >= 0) from = `(${after}`;
  // No UTF-8 has a byte 0xff: all that begins with the prefix is before that.
  const to = prefix === "" ? "+" : Buffer.concat([Buffer.from(`(${prefix}`), Buffer.from([0xff])]);
  const found = await redis.send(["ZRANGEBYLEX", order, from, to, "LIMIT", "0", String(limit + 1)]);
  const keys = (found as Buffer[]).map((key) => key.toString());
  return pageOf(keys, limit, limits.listBytesMax);
}

/** What stands before a value: 16 digits until the year 2286, and a colon. */
const revisionBytes = 17;

async function getMany(
  redis: RedisConnection,
  keys: BucketKeys,
  wanted: readonly string[],
  limits: KvLimits,
): Promise<{ key: string; value: Uint8Array | null }[]> {
  // Roughly, in the server, so that it does not send what would then be refused.
  const bytesMax = limits.batchBytesMax + revisionBytes * wanted.length;
  const found = (await redis.run(getManyScript, keys, [String(bytesMax), ...wanted])) as unknown[] | null;
  const values = found?.map((held, index) => ({ key: wanted[index]!, value: versioned(held).value }));
  let bytes = 0;
  for (const { key, value } of values ?? []) bytes += Buffer.byteLength(key) + (value?.byteLength ?? 0);
  if (values === undefined || bytes > limits.batchBytesMax) {
    throw exhausted("batchBytesMax", limits, fewerAtOnce, "never");
  }
  return values;
}

async function check(redis: RedisConnection): Promise<void> {
  const info = String(await redis.send(["INFO", "memory"]));
  const [, policy = ""] = /^maxmemory_policy:(\S+)/m.exec(info) ?? [];
  const isBounded = !/^maxmemory:0\s*$/m.test(info);
  // Other policies drop only keys that have an end; ours have none.
  if (isBounded && policy.startsWith("allkeys-")) throw evicts(redis.server, policy);
}

function versioned(held: unknown): Versioned {
  if (!Buffer.isBuffer(held)) return { value: null, revision: null };
  const colon = held.indexOf(0x3a);
  return { value: new Uint8Array(held.subarray(colon + 1)), revision: held.toString("latin1", 0, colon) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
