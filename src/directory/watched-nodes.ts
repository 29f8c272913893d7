import { z } from "zod";
import { type Clock, delay } from "../clock.ts";
import { directoryLimits } from "../limits.ts";
import { type DirectoryChange, NodeRecord } from "./directory.ts";
import type { EtcdGateway } from "./etcd-gateway.ts";
import { nodeIn } from "./keys.ts";
import type { Outage } from "./outage.ts";

const Entry = z.object({ key: z.base64(), value: z.base64().default("") });
const header = z.object({ revision: z.string().regex(/^\d{1,19}$/) });
const Page = z.object({ header, kvs: z.array(Entry).default([]), more: z.boolean().default(false) });
const Message = z.object({
  result: z.object({
    canceled: z.boolean().default(false),
    events: z.array(z.object({ type: z.string().default("PUT"), kv: Entry })).default([]),
  }),
});

/**
 * Watches the nodes' records until the signal comes. What there is, is read first, and again whenever the watch was
 * interrupted, so that nothing that happened meanwhile is missed. Never rejects.
 */
export async function watchNodes(world: {
  gateway: EtcdGateway;
  clock: Clock;
  outage: Outage;
  prefix: string;
  onChange: (change: DirectoryChange) => void;
  signal: AbortSignal;
}): Promise<void> {
  const { gateway, clock, outage, prefix, onChange, signal } = world;
  const range = { key: base64(prefix), range_end: base64(endOf(prefix)) };
  /** Node → epoch. */
  const known = new Map<string, number>();

  function put(nodeId: string, value: string): void {
    const epoch = epochIn(nodeId, value);
    if (epoch === undefined || known.get(nodeId) === epoch) return;
    if (!known.has(nodeId) && known.size >= directoryLimits.nodesMax) return;
    known.set(nodeId, epoch);
    onChange({ type: "appeared", nodeId, epoch });
  }

  function remove(nodeId: string): void {
    if (known.delete(nodeId)) onChange({ type: "disappeared", nodeId });
  }

  /** Reads all records, a page at a time, and returns the revision that they were true for. */
  async function lookAtAll(): Promise<bigint> {
    const there = new Map<string, string>();
    let revision: string | undefined;
    let from = range.key;
    for (;;) {
      const question = {
        ...range,
        key: from,
        limit: String(directoryLimits.pageRecords),
        ...(revision && { revision }),
      };
      const page = Page.parse(await gateway.ask("/v3/kv/range", question, { signal }));
      revision ??= page.header.revision;
      for (const { key, value } of page.kvs) {
        const nodeId = nodeIn(prefix, text(key));
        if (nodeId !== undefined && there.size < directoryLimits.nodesMax) there.set(nodeId, value);
      }
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined || there.size >= directoryLimits.nodesMax) break;
      from = base64(`${text(last.key)}\0`);
    }
    for (const nodeId of known.keys()) if (!there.has(nodeId)) remove(nodeId);
    for (const [nodeId, value] of there) put(nodeId, value);
    return BigInt(revision);
  }

  async function follow(revision: bigint): Promise<void> {
    const renew = new AbortController();
    const timer = clock.setTimeout(() => renew.abort(), directoryLimits.watchMsMax);
    const either = AbortSignal.any([signal, renew.signal]);
    const question = { create_request: { ...range, start_revision: String(revision + 1n) } };
    try {
      for await (const message of gateway.listen("/v3/watch", question, either)) {
        const { canceled, events } = Message.parse(message).result;
        // Its revision was compacted away, or the member steps down: what there is, is read again.
        if (canceled) return;
        for (const { type, kv } of events) {
          const nodeId = nodeIn(prefix, text(kv.key));
          if (nodeId === undefined) continue;
          if (type === "DELETE") remove(nodeId);
          else put(nodeId, kv.value);
        }
      }
    } catch (error) {
      if (!either.aborted) throw error;
    } finally {
      clock.clearTimeout(timer);
    }
  }

  let pauseMs: number = directoryLimits.retryMs;
  while (!signal.aborted) {
    try {
      const revision = await lookAtAll();
      outage.succeeded("watching");
      pauseMs = directoryLimits.retryMs;
      await follow(revision);
    } catch (error) {
      if (!signal.aborted) outage.failed("watching", error);
    }
    await delay(clock, pauseMs, signal).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, directoryLimits.retryMsMax);
  }
}

/** A value that is no record of that node is nobody's; anybody may write to etcd. */
function epochIn(nodeId: string, value: string): number | undefined {
  try {
    const record = NodeRecord.safeParse(JSON.parse(text(value)));
    return record.success && record.data.nodeId === nodeId ? record.data.epoch : undefined;
  } catch {
    return undefined;
  }
}

/** The first key after all that begin with the prefix, which ends with `/`. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

function base64(plain: string): string {
  return Buffer.from(plain).toString("base64");
}

function text(encoded: string): string {
  return Buffer.from(encoded, "base64").toString();
}
