import { DiscardPolicy, type JetStreamClient, type JetStreamManager, StorageType } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "nats";
import { type Clock, delay } from "../../clock.ts";
import { natsKvLimits } from "../../limits.ts";
import type { KvLimits } from "./failures.ts";
import type { NatsBucket } from "./nats-bucket.ts";
import { assertReplicas } from "../jetstream.ts";
import { isBeingMade, isGone, isOtherStream, isUnanswered, neverReady, kvStore } from "./nats-failures.ts";
import { createRoom } from "./nats-room.ts";

/** What buckets are opened with. */
export interface NatsBucketOptions {
  readonly connection: NatsConnection;
  readonly clock: Clock;
  readonly limits: KvLimits;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly replicas?: number;
  readonly storage?: "file" | "memory";
}

/** The bucket of that name, which is made if there is none. */
export async function openBucket(options: NatsBucketOptions, name: string): Promise<NatsBucket> {
  const { js, jsm, limits, connection } = options;
  await untilReady(options, name);
  const { config } = await jsm.streams.info(`KV_${name}`);
  assertReplicas(kvStore, config.num_replicas, connection.info?.version ?? "");
  // Replicas would answer direct reads, and one of them may not have a write yet that was acknowledged.
  const kv = await new Kvm(js).open(name, { allow_direct: false });
  return { name, kv, js, jsm, room: createRoom(jsm, name, limits) };
}

/**
 * Makes the bucket, unless there is one, and waits until it takes messages. Nothing else may be asked of it before:
 * nats-server 2.9.10 falls over a question about a stream that another process is just making (measured).
 */
async function untilReady(options: NatsBucketOptions, name: string): Promise<void> {
  let unanswered = 0;
  for (let tries = 1; !(await isReady(options.js, name)); tries += 1) {
    if (tries > 1) await delay(options.clock, natsKvLimits.createRetryMs);
    if (tries > natsKvLimits.triesMax) throw neverReady(name);
    try {
      await makeStream(options, name);
    } catch (error) {
      // Of two that make one at the same time 2.9 refuses both until the first is done, and a cluster of them leaves
      // one without an answer.
      if (isUnanswered(error)) unanswered += 1;
      else if (!isBeingMade(error)) throw error;
      if (unanswered > 1) throw error;
    }
  }
}

/** Asks by a message that every stream refuses: the first thing that works, and without effect. */
async function isReady(js: JetStreamClient, name: string): Promise<boolean> {
  try {
    await js.publish(`$KV.${name}.ready`, new Uint8Array(0), { expect: { streamName: "none" } });
  } catch (error) {
    if (isOtherStream(error)) return true;
    if (!isGone(error)) throw error;
  }
  return false;
}

/** Such as ADR-8 of the NATS project describes, with a limit of keys. */
async function makeStream(options: NatsBucketOptions, name: string): Promise<void> {
  await options.jsm.streams.add({
    name: `KV_${name}`,
    subjects: [`$KV.${name}.>`],
    max_msgs_per_subject: 1,
    max_msgs: options.limits.keysPerBucketMax,
    discard: DiscardPolicy.New,
    num_replicas: options.replicas ?? 1,
    storage: options.storage === "memory" ? StorageType.Memory : StorageType.File,
    allow_rollup_hdrs: true,
    allow_direct: false,
  });
}
