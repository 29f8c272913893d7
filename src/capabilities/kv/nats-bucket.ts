import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import { headers } from "nats";
import { natsKvLimits } from "../../limits.ts";
import type { SwapReply, Versioned } from "./contract.ts";
import { incremented } from "./increment.ts";
import { isConflict } from "../jetstream.ts";
import { contended, isFull } from "./nats-failures.ts";
import { natsKey } from "./nats-names.ts";
import type { Room } from "./nats-room.ts";

/** One bucket, with the clients that reach it. */
export interface NatsBucket {
  readonly name: string;
  readonly kv: KV;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly room: Room;
}

interface Stored {
  readonly value: Uint8Array;
  readonly sequence: number;
  /** Says that the key was deleted; others leave such, and we do for a moment. */
  readonly isMarker: boolean;
}

/** The value, or undefined where there is none. */
export async function read(bucket: NatsBucket, key: string): Promise<Uint8Array | undefined> {
  const stored = await lookUp(bucket, key);
  return stored === undefined || stored.isMarker ? undefined : stored.value;
}

/** The value and its revision: the sequence number of the write, which the stream never uses again. */
export async function readVersioned(bucket: NatsBucket, key: string): Promise<Versioned> {
  const stored = await lookUp(bucket, key);
  if (stored === undefined || stored.isMarker) return { value: null, revision: null };
  return { value: stored.value, revision: String(stored.sequence) };
}

/** Writes whatever is there. */
export async function write(bucket: NatsBucket, key: string, value: Uint8Array): Promise<void> {
  await bucket.room.admit(key, value, () => read(bucket, key));
  await bucket.kv.put(natsKey(key), value);
}

const sequenceText = /^[1-9][0-9]{0,15}$/;

/** Writes if the key has that revision, or, where it is null, is not there. */
export async function swap(
  bucket: NatsBucket,
  key: string,
  value: Uint8Array,
  revision: string | null,
): Promise<SwapReply> {
  let expected = 0;
  if (revision !== null) {
    if (!sequenceText.test(revision)) return { swapped: false, ...(await readVersioned(bucket, key)) };
    expected = Number(revision);
  }
  await bucket.room.admit(key, value, () => read(bucket, key));
  for (let tries = 0; tries < natsKvLimits.triesMax; tries += 1) {
    const sequence = await writeIf(bucket, key, value, expected);
    if (sequence !== undefined) return { swapped: true, revision: String(sequence) };
    const stored = await lookUp(bucket, key);
    // A cluster refuses it too while another write of the key is under way, which may then fail.
    if (stored?.sequence === expected) continue;
    if (stored !== undefined && !stored.isMarker) {
      return { swapped: false, value: stored.value, revision: String(stored.sequence) };
    }
    if (revision !== null) return { swapped: false, value: null, revision: null };
    // There is no such key, but perhaps a marker, which a write must then name; or both went away meanwhile.
    expected = stored?.sequence ?? 0;
  }
  throw contended(key);
}

/** Adds; the caller sees to it that this process has one of these at a time for a key. */
export async function increment(bucket: NatsBucket, key: string, by: number): Promise<number> {
  for (let tries = 0; tries < natsKvLimits.triesMax; tries += 1) {
    const stored = await lookUp(bucket, key);
    const held = stored === undefined || stored.isMarker ? undefined : stored.value;
    const value = incremented(held, by, key);
    const text = new TextEncoder().encode(String(value));
    if (tries === 0) await bucket.room.admit(key, text, async () => held);
    if ((await writeIf(bucket, key, text, stored?.sequence ?? 0)) !== undefined) return value;
  }
  throw contended(key);
}

/**
 * Deletes, and says whether there was something. First by a marker in place of the value, since only a write can
 * name the revision that it replaces and so cannot delete what somebody wrote meanwhile; then the marker goes.
 */
export async function remove(bucket: NatsBucket, key: string): Promise<boolean> {
  const stream = `KV_${bucket.name}`;
  for (let tries = 0; tries < natsKvLimits.triesMax; tries += 1) {
    const stored = await lookUp(bucket, key);
    if (stored === undefined || stored.isMarker) return false;
    try {
      const marker = await putMarker(bucket, key, stored.sequence);
      // One that stays does no harm but takes room.
      await bucket.jsm.streams.deleteMessage(stream, marker, false).catch(() => {});
      return true;
    } catch (error) {
      // Where a server is full it has no room for a marker either.
      if (isFull(error)) {
        const deleted = bucket.jsm.streams.deleteMessage(stream, stored.sequence, false);
        if (await deleted.catch(() => false)) return true;
      } else if (!isConflict(error)) throw error;
    }
  }
  throw contended(key);
}

async function lookUp({ kv }: NatsBucket, key: string): Promise<Stored | undefined> {
  const entry = await kv.get(natsKey(key));
  if (entry === null) return undefined;
  return { value: entry.value, sequence: entry.revision, isMarker: entry.operation !== "PUT" };
}

/** The sequence number of the write, or undefined if the last one of the key is not the `expected`; 0 is none. */
async function writeIf(
  { kv }: NatsBucket,
  key: string,
  value: Uint8Array,
  expected: number,
): Promise<number | undefined> {
  try {
    return await kv.put(natsKey(key), value, { previousSeq: expected });
  } catch (error) {
    if (isConflict(error)) return undefined;
    throw error;
  }
}

async function putMarker({ name, js }: NatsBucket, key: string, expected: number): Promise<number> {
  const marker = headers();
  marker.set("KV-Operation", "DEL");
  const acknowledged = await js.publish(`$KV.${name}.${natsKey(key)}`, new Uint8Array(0), {
    headers: marker,
    expect: { lastSubjectSequence: expected },
  });
  return acknowledged.seq;
}
