import { type JetStreamManager, jetstream, StorageType } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import type { NatsConnection } from "nats";
import type { Clock } from "../../clock.ts";
import { blobLimits, natsBlobLimits } from "../../limits.ts";
import { type BlobCapability, blobCapability, type BlobStore, type StoredObject } from "./blob-capability.ts";
import type { ContainerPlace } from "./contract.ts";
import { type BlobLimits, exhausted, noContainer } from "./failures.ts";
import { assertReplicas } from "../jetstream.ts";
import { blobStore, isNoStore, natsFailure } from "./nats-failures.ts";
import { eachObject, listObjects } from "./nats-list.ts";
import { allMetaSubjects, natsStoreName, natsStorePrefix, streamOf } from "./nats-names.ts";
import { dropChunks, lookUp, type NatsObjects, removeObject, writeObject } from "./nats-objects.ts";
import { readObject } from "./nats-read.ts";

/** What a blob store in JetStream is made with. */
export interface NatsBlobstoreOptions {
  /** Whoever made it closes it, after this. */
  readonly connection: NatsConnection;
  readonly clock: Clock;
  /** Servers that hold each container: 1 (default), 3 or 5, no more than the cluster has. Counts for new containers. */
  readonly replicas?: number;
  /** `file` (default), or `memory`, which a restart of the server empties. Counts for new containers. */
  readonly storage?: "file" | "memory";
  readonly limits?: BlobLimits;
}

/**
 * The blob store capability in NATS JetStream (nats-server ≥ 2.9): it lasts, and all processes on that server share
 * it. A container is an object store of its own, in the format of NATS ADR-20, so that `nats object` reads and
 * writes it too. It takes `bytesPerContainerMax`, as JetStream counts them: with subjects, descriptions, and, while
 * an object is replaced, both. Bodies pass through in chunks, in both directions at the pace of the slower side; a
 * range is found by reading what lies before it.
 *
 * A process that dies while it writes leaves chunks behind, which take room until the container is deleted. A move is
 * a copy and then a removal, and others may see both objects in between.
 *
 * Rejects, as each call does, with PROVIDER_UNAVAILABLE where there is no JetStream and COMMUNICATION_FAILURE where
 * NATS does not answer within `requestTimeoutMs`; a write may then have been done.
 */
export async function createNatsBlobstore(options: NatsBlobstoreOptions): Promise<BlobCapability> {
  const { connection, clock, limits = blobLimits } = options;
  assertReplicas(blobStore, options.replicas ?? 1, connection.info?.version ?? "");
  const js = jetstream(connection, { timeout: natsBlobLimits.requestTimeoutMs });
  try {
    const jsm = await js.jetstreamManager(true);
    const payloadBytesMax = () => connection.info?.max_payload ?? limits.chunkBytes;
    return blobCapability(natsStore(options, { js, jsm, clock, limits, payloadBytesMax }), limits);
  } catch (error) {
    throw natsFailure(error, limits);
  }
}

function natsStore(options: NatsBlobstoreOptions, objects: NatsObjects): BlobStore {
  const inStore = createInStore(objects);
  return {
    ...containersOf(options, objects, inStore),
    ...objectsOf(objects, inStore),
    check: () => checkJetStream(objects),
    async close() {},
  };
}

/** Does something in the store of a container; `missing` gives what comes of it where there is no such container. */
type InStore = <Result>(
  place: ContainerPlace,
  work: (store: string) => Promise<Result>,
  missing?: () => Result,
) => Promise<Result>;

function createInStore(objects: NatsObjects): InStore {
  return async (place, work, missing) => {
    try {
      return await work(natsStoreName(place));
    } catch (error) {
      if (!isNoStore(error)) throw natsFailure(error, objects.limits);
      // Where there is no JetStream at all, nobody answers either.
      await checkJetStream(objects);
      if (missing === undefined) throw noContainer(place.container);
      return missing();
    }
  };
}

async function checkJetStream({ jsm, limits }: NatsObjects): Promise<void> {
  try {
    await jsm.getAccountInfo();
  } catch (error) {
    throw natsFailure(error, limits);
  }
}

type ContainerOperations = "createContainer" | "deleteContainer" | "containerCreatedAt" | "clear" | "list";

function containersOf(
  options: NatsBlobstoreOptions,
  objects: NatsObjects,
  inStore: InStore,
): Pick<BlobStore, ContainerOperations> {
  const { jsm, js, limits } = objects;
  const nothing = () => undefined;
  const createdAt = (place: ContainerPlace) =>
    inStore<string | undefined>(
      place,
      async (store) => new Date((await jsm.streams.info(streamOf(store))).created).toISOString(),
      nothing,
    );
  return {
    async createContainer(place) {
      if ((await createdAt(place)) !== undefined) return;
      try {
        await assertRoom(jsm, place.bucket, limits);
        await new Objm(js).create(natsStoreName(place), {
          replicas: options.replicas ?? 1,
          storage: options.storage === "memory" ? StorageType.Memory : StorageType.File,
          max_bytes: limits.bytesPerContainerMax,
        });
      } catch (error) {
        throw natsFailure(error, limits);
      }
    },
    deleteContainer: (place) =>
      inStore(place, async (store) => void (await jsm.streams.delete(streamOf(store))), nothing),
    containerCreatedAt: createdAt,
    list: (place, query) => inStore(place, (store) => listObjects(objects, store, query)),
    clear: (place) => inStore(place, (store) => clear(objects, store)),
  };
}

function objectsOf(
  objects: NatsObjects,
  inStore: InStore,
): Pick<BlobStore, "write" | "find" | "remove" | "removeAll"> {
  const remove = (place: ContainerPlace, name: string, revision?: number) =>
    inStore(
      place,
      (store) => removeObject(objects, store, name, revision),
      () => false,
    );
  return {
    write: (place, name, source) =>
      inStore(place, async (store) => {
        // Asked before the first piece is read: to a store that is not there its chunks would be nobody's.
        await objects.jsm.streams.info(streamOf(store));
        await writeObject(objects, store, name, source);
      }),
    find: (place, name) =>
      inStore<StoredObject | undefined>(
        place,
        async (store) => {
          const meta = await lookUp(objects, store, name);
          if (meta === undefined) return undefined;
          const { size, mtime: createdAt, sequence: revision } = meta;
          const open = (start: number, length: number) => readObject(objects, store, meta, start, length);
          return { size, createdAt, revision, open };
        },
        () => undefined,
      ),
    remove,
    async removeAll(place, names) {
      let removed = 0;
      await inWaves(names, async (name) => {
        if (await remove(place, name)) removed += 1;
      });
      return removed;
    },
  };
}

/**
 * All descriptions go in one step, so that nobody sees a part of them gone; then the chunks that they described. Those
 * of an object on its way stay, since its description is yet to come.
 */
async function clear(objects: NatsObjects, store: string): Promise<void> {
  const ids = new Set<string>();
  let last = 0;
  await eachObject(objects, store, ({ nuid, sequence }) => {
    ids.add(nuid);
    last = Math.max(last, sequence);
  });
  if (last === 0) return;
  await objects.jsm.streams.purge(streamOf(store), { filter: allMetaSubjects(store), seq: last + 1 });
  await inWaves(ids, (id) => dropChunks(objects, store, id));
}

async function assertRoom(jsm: JetStreamManager, bucket: string, limits: BlobLimits): Promise<void> {
  const prefix = streamOf(natsStorePrefix(bucket));
  let count = 0;
  for await (const name of jsm.streams.names()) if (name.startsWith(prefix)) count += 1;
  if (count < limits.containersPerBucketMax) return;
  throw exhausted("containersPerBucketMax", limits, "Delete containers, or use fewer.");
}

/** `batchWidth` at a time; all that began have ended when it rejects. */
async function inWaves<Item>(items: Iterable<Item>, perform: (item: Item) => Promise<void>): Promise<void> {
  const left = [...items];
  while (left.length > 0) {
    const wave = await Promise.allSettled(left.splice(0, natsBlobLimits.batchWidth).map(perform));
    for (const outcome of wave) if (outcome.status === "rejected") throw outcome.reason;
  }
}
