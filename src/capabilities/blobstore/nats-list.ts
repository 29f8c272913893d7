import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import { nanos } from "nats";
import { natsBlobLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { compareKeys, pageOf, positionOf } from "../kv/key-order.ts";
import type { ObjectPage, ObjectQuery } from "./contract.ts";
import { allMetaSubjects, streamOf } from "./nats-names.ts";
import { type NatsObjects, type ObjectMeta, readMeta } from "./nats-objects.ts";

/**
 * One page of names. JetStream keeps them in the order of their writes, so all are looked at, and no more than a page
 * of them is kept.
 */
export async function listObjects(
  objects: NatsObjects,
  store: string,
  query: ObjectQuery,
): Promise<ObjectPage> {
  const first: string[] = [];
  await eachObject(objects, store, ({ name }) => keep(first, name, query));
  const { keys, next } = pageOf(first, query.limit, objects.limits.listBytesMax);
  return next === undefined ? { objects: keys } : { objects: keys, next };
}

/**
 * Calls `look` with every object that is there when it begins; one that is replaced meanwhile may come twice. Rejects
 * with TIMEOUT after `listTimeoutMs`.
 */
export async function eachObject(
  { js, jsm, clock }: NatsObjects,
  store: string,
  look: (meta: ObjectMeta) => void,
): Promise<void> {
  const stream = streamOf(store);
  const until = clock.now() + natsBlobLimits.listTimeoutMs;
  const info = await jsm.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.All,
    filter_subject: allMetaSubjects(store),
    inactive_threshold: nanos(natsBlobLimits.listIdleMs),
    mem_storage: true,
    num_replicas: 1,
  });
  try {
    const consumer = await js.consumers.get(stream, info.name);
    let pending = info.num_pending;
    while (pending > 0) {
      let seen = 0;
      const fetched = await consumer.fetch({
        max_messages: Math.min(pending, natsBlobLimits.listedAtOnce),
        expires: natsBlobLimits.fetchMs,
      });
      for await (const message of fetched) {
        seen += 1;
        pending = message.info.pending;
        const meta = readMeta(message.data, message.seq);
        if (meta !== undefined) look(meta);
        if (pending === 0) break;
      }
      if (clock.now() > until) throw tooManyObjects();
      // Those that are deleted meanwhile never come.
      if (seen === 0) pending = (await consumer.info()).num_pending;
    }
  } finally {
    await jsm.consumers.delete(stream, info.name).catch(() => {
      // Then the server drops it by itself, after `listIdleMs`.
    });
  }
}

/** Keeps the name if it is among the first that the query wants: one more than its page, to see whether there are. */
function keep(first: string[], name: string, { after, limit }: ObjectQuery): void {
  if (after !== undefined && compareKeys(name, after) <= 0) return;
  const index = positionOf(first, name);
  if (index > limit || first[index] === name) return;
  first.splice(index, 0, name);
  if (first.length > limit + 1) first.pop();
}

function tooManyObjects(): Failure {
  const timeoutMs = natsBlobLimits.listTimeoutMs;
  return new Failure("TIMEOUT", `blobstore: the objects were not looked through within ${timeoutMs} ms`, {
    fix: "Spread the objects over several containers.",
    details: { timeoutMs },
  });
}
