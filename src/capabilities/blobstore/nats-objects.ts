import { createHash } from "node:crypto";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import { headers, nuid } from "nats";
import type { ByteSource } from "../../byte-source.ts";
import { type Clock, timestamp } from "../../clock.ts";
import { natsBlobLimits } from "../../limits.ts";
import { chunksOf } from "./byte-chunks.ts";
import { type BlobLimits, objectTooLarge } from "./failures.ts";
import { isConflict } from "../jetstream.ts";
import { contended, isRefusal } from "./nats-failures.ts";
import { chunkSubject, metaSubject, streamOf } from "./nats-names.ts";

/** What works on the objects of a store. */
export interface NatsObjects {
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly clock: Clock;
  readonly limits: BlobLimits;
  /** What the server takes in one message. */
  readonly payloadBytesMax: () => number;
}

/** The description of an object, in the fields of NATS ADR-20 that count here. */
export interface ObjectMeta {
  readonly name: string;
  /** Which chunks are its. */
  readonly nuid: string;
  readonly size: number;
  readonly chunks: number;
  /** ISO 8601. */
  readonly mtime: string;
  /** The sequence number of the description: no other object ever has it. */
  readonly sequence: number;
}

/**
 * Writes chunks under an id of their own, and then, in one message, the description that makes them the object of
 * that name. So a reader sees the old object or the new one, and of several writers the last to end counts.
 * The library's own `put` would leave the chunks of one of two writers behind.
 */
export async function writeObject(
  objects: NatsObjects,
  store: string,
  name: string,
  source: ByteSource,
): Promise<void> {
  const id = nuid.next();
  const chunkBytes = Math.min(objects.limits.chunkBytes, Math.floor(objects.payloadBytesMax() / 2));
  try {
    const body = await writeChunks(objects, chunkSubject(store, id), source, chunkBytes);
    const mtime = timestamp(objects.clock);
    const meta = { name, bucket: store, nuid: id, ...body, mtime, options: { max_chunk_size: chunkBytes } };
    await commit(objects, store, meta).catch((error: unknown) => {
      throw new CommitError(error);
    });
  } catch (error) {
    const isCommit = error instanceof CommitError;
    const reason = isCommit ? error.cause : error;
    // A commit without an answer may have been done, and these would be the bytes of the object.
    if (!isCommit || isRefusal(reason)) await dropChunks(objects, store, id);
    throw reason;
  }
}

class CommitError extends Error {
  constructor(cause: unknown) {
    super("the description could not be written", { cause });
  }
}

/** What is described under a name; undefined where there is nothing, or a link, which nothing of ours makes. */
export async function lookUp(
  { jsm }: NatsObjects,
  store: string,
  name: string,
): Promise<ObjectMeta | undefined> {
  // Not by direct get, which a replica answers that may not have the last write yet.
  const found = await jsm.streams.getMessage(streamOf(store), { last_by_subj: metaSubject(store, name) });
  return found === null ? undefined : readMeta(found.data, found.seq);
}

/** Removes an object, unless it is another one by then; whether it was there. */
export async function removeObject(
  objects: NatsObjects,
  store: string,
  name: string,
  revision: number | undefined,
): Promise<boolean> {
  for (let tries = 0; tries < natsBlobLimits.triesMax; tries += 1) {
    const old = await lookUp(objects, store, name);
    if (old === undefined || (revision !== undefined && old.sequence !== revision)) return false;
    // Only what is not newer than what was seen.
    const { purged } = await objects.jsm.streams.purge(streamOf(store), {
      filter: metaSubject(store, name),
      seq: old.sequence + 1,
    });
    if (purged === 0) continue;
    await dropChunks(objects, store, old.nuid);
    return true;
  }
  throw contended(name);
}

/** Removes chunks that belong to nothing any more; those that stay do no harm but take room. */
export async function dropChunks({ jsm }: NatsObjects, store: string, id: string): Promise<void> {
  await jsm.streams.purge(streamOf(store), { filter: chunkSubject(store, id) }).catch(() => {});
}

/** The description in a message; undefined for a marker of deletion, a link, and what is none. */
export function readMeta(data: Uint8Array, sequence: number): ObjectMeta | undefined {
  try {
    const meta = JSON.parse(new TextDecoder().decode(data)) as Record<string, unknown>;
    const { name, nuid: id, size, chunks, mtime, deleted, options } = meta;
    // The id becomes a part of a filter.
    if (typeof name !== "string" || typeof id !== "string" || !/^[A-Za-z0-9_-]+$/.test(id)) return undefined;
    if (deleted === true || (options as { link?: unknown } | undefined)?.link != null) return undefined;
    if (!isCount(size) || !isCount(chunks) || typeof mtime !== "string") return undefined;
    return { name, nuid: id, size, chunks, mtime: new Date(mtime).toISOString(), sequence };
  } catch {
    return undefined;
  }
}

async function writeChunks(
  { js, limits }: NatsObjects,
  subject: string,
  source: ByteSource,
  chunkBytes: number,
): Promise<{ size: number; chunks: number; digest: string }> {
  const hash = createHash("sha256");
  let size = 0;
  let chunks = 0;
  for await (const chunk of chunksOf(source, chunkBytes)) {
    size += chunk.length;
    chunks += 1;
    if (size > limits.objectBytesMax) throw objectTooLarge(limits);
    hash.update(chunk);
    // Acknowledged one by one: no more than this chunk and the next is ever held.
    await js.publish(subject, chunk);
  }
  const digest = hash.digest("base64").replaceAll("+", "-").replaceAll("/", "_");
  return { size, chunks, digest: `SHA-256=${digest}` };
}

async function commit(
  objects: NatsObjects,
  store: string,
  meta: { readonly name: string; readonly nuid: string },
): Promise<void> {
  const { js, jsm } = objects;
  const subject = metaSubject(store, meta.name);
  for (let tries = 0; tries < natsBlobLimits.triesMax; tries += 1) {
    const last = await jsm.streams.getMessage(streamOf(store), { last_by_subj: subject });
    const old = last === null ? undefined : readMeta(last.data, last.seq);
    const rollup = headers();
    rollup.set("Nats-Rollup", "sub");
    try {
      await js.publish(subject, JSON.stringify(meta), {
        headers: rollup,
        expect: { lastSubjectSequence: last?.seq ?? 0 },
      });
    } catch (error) {
      if (isConflict(error)) continue;
      throw error;
    }
    if (old !== undefined) await dropChunks(objects, store, old.nuid);
    return;
  }
  throw contended(meta.name);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
