import {
  AckPolicy,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type MsgRequest,
  type NextMsgRequest,
} from "@nats-io/jetstream";
import { type Clock } from "../../clock.ts";
import { natsKvLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import type { KeyPage, KeyQuery } from "./contract.ts";
import type { KvLimits } from "./failures.ts";
import { compareKeys, pageOf, positionOf } from "./key-order.ts";
import { keyOfNats, natsFilter } from "./nats-names.ts";

/** What a listing works with. */
export interface NatsListing {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly clock: Clock;
  readonly limits: KvLimits;
}

/**
 * One page of keys. JetStream keeps them in the order of their writes, so all that the filter lets through are
 * looked at, without their values, and no more than a page of them is kept. Rejects with TIMEOUT after
 * `listTimeoutMs`.
 */
export async function listKeys(listing: NatsListing, bucketName: string, query: KeyQuery): Promise<KeyPage> {
  const { js, jsm, clock, limits } = listing;
  const stream = `KV_${bucketName}`;
  const subjects = `$KV.${bucketName}.`;
  const filter = `${subjects}${natsFilter(query.prefix)}`;
  const until = clock.now() + natsKvLimits.listTimeoutMs;
  const info = await jsm.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.All,
    filter_subject: filter,
    headers_only: true,
    inactive_threshold: natsKvLimits.listIdleMs * 1e6,
    mem_storage: true,
    num_replicas: 1,
  });
  try {
    const consumer = await js.consumers.get(stream, info.name);
    const first: string[] = [];
    let seen = 0;
    let left = info.num_pending;
    let atEnd = left === 0;
    const isAtEnd = chase(jsm, stream, filter, info.num_pending);
    while (!atEnd) {
      const before = seen;
      const fetched = await consumer.fetch({
        max_messages: Math.min(Math.max(left, 1), natsKvLimits.listedAtOnce),
        expires: natsKvLimits.fetchMs,
      });
      for await (const message of fetched) {
        seen += 1;
        left = message.info.pending;
        if (!message.headers?.has("KV-Operation")) {
          keep(first, keyOfNats(message.subject.slice(subjects.length)), query);
        }
        atEnd = await isAtEnd(seen, left, message.seq);
        // What the server sent and nobody read would not come again: no end before the end.
        if (atEnd) break;
        if (clock.now() > until) throw tooManyKeys();
      }
      // Those that were left have vanished.
      if (seen === before) break;
    }
    return pageOf(first, query.limit, limits.listBytesMax);
  } finally {
    await jsm.consumers.delete(stream, info.name).catch(() => {
      // Then the server drops it by itself, after `listIdleMs`.
    });
  }
}

/**
 * Says of each message whether it was the last one to look at. A key that is written meanwhile moves behind all others,
 * so a listing ends where nothing is behind the last message that it saw. Only the stream itself knows: what
 * nats-server 2.9 tells with a message is wrong where keys change meanwhile, too high for ever or too low for a moment.
 */
function chase(jsm: JetStreamManager, stream: string, filter: string, atFirst: number) {
  let goal = 0;
  let rounds = 0;
  return async (seen: number, left: number, sequence: number): Promise<boolean> => {
    if (left > 0 && (seen < atFirst || sequence < goal)) return false;
    // The API has it, the client's types do not.
    const query: NextMsgRequest = { seq: sequence + 1, next_by_subj: filter };
    const next = await jsm.streams.getMessage(stream, query as unknown as MsgRequest);
    if (next === null) return true;
    goal = (await jsm.streams.info(stream)).state.last_seq;
    rounds += 1;
    return rounds > natsKvLimits.listRoundsMax;
  };
}

/** Keeps the key if it is among the first ones that the query wants: one more than its page, to see whether there are. */
function keep(first: string[], key: string | undefined, query: KeyQuery): void {
  if (key === undefined || !key.startsWith(query.prefix)) return;
  if (query.after !== undefined && compareKeys(key, query.after) <= 0) return;
  const index = positionOf(first, key);
  // A key that is written while it is listed comes twice.
  if (index > query.limit || first[index] === key) return;
  first.splice(index, 0, key);
  if (first.length > query.limit + 1) first.pop();
}

function tooManyKeys(): Failure {
  const timeoutMs = natsKvLimits.listTimeoutMs;
  return new Failure("TIMEOUT", `kv list: the keys were not looked through within ${timeoutMs} ms`, {
    fix: "Ask for a prefix that ends in a slash, or spread the keys over several buckets.",
    details: { timeoutMs },
  });
}
