import type { ByteSource } from "../../byte-source.ts";
import { type Clock, systemClock, timestamp } from "../../clock.ts";
import { blobLimits } from "../../limits.ts";
import { pageOf, positionOf } from "../kv/key-order.ts";
import { type BlobCapability, blobCapability, type BlobStore } from "./blob-capability.ts";
import { chunksOf, sourceOfChunks } from "./byte-chunks.ts";
import { type Containers, createContainers } from "./containers.ts";
import type { ContainerPlace, ObjectPage, ObjectQuery } from "./contract.ts";
import { type BlobLimits, objectTooLarge } from "./failures.ts";

/** What a blob store in memory is made with. */
export interface MemoryBlobstoreOptions {
  readonly clock?: Clock;
  readonly limits?: BlobLimits;
}

/**
 * The blob store capability in the memory of this process: gone when the process ends, and needing nothing else. A
 * reader keeps the bytes that it began with, whatever becomes of the object.
 */
export function createMemoryBlobstore(options: MemoryBlobstoreOptions = {}): BlobCapability {
  const { clock = systemClock, limits = blobLimits } = options;
  return blobCapability(memoryStore(clock, limits), limits);
}

function memoryStore(clock: Clock, limits: BlobLimits): BlobStore {
  const containers = createContainers(limits);
  let revision = 0;
  return {
    createContainer: async (place) => containers.create(place, timestamp(clock)),
    deleteContainer: async (place) => containers.delete(place),
    containerCreatedAt: async (place) => containers.find(place)?.createdAt,
    list: async (place, query) => page(containers.at(place).names, query, limits),
    clear: async (place) => containers.clear(place),
    async write(place, name, source) {
      revision += 1;
      await write(containers, limits, place, name, source, { revision, createdAt: () => timestamp(clock) });
    },
    async find(place, name) {
      const object = containers.find(place)?.objects.get(name);
      if (object === undefined) return undefined;
      return { ...object, open: (start, length) => sourceOfChunks(object.chunks, start, length) };
    },
    remove: async (place, name, wanted) => containers.remove(place, name, wanted),
    removeAll: async (place, names) => [...names].filter((name) => containers.remove(place, name)).length,
    async check() {},
    async close() {
      containers.forgetAll();
    },
  };
}

/** What comes counts from its first byte on, so that many bodies on their way cannot fill the memory. */
async function write(
  containers: Containers,
  limits: BlobLimits,
  place: ContainerPlace,
  name: string,
  source: ByteSource,
  { revision, createdAt }: { readonly revision: number; readonly createdAt: () => string },
): Promise<void> {
  containers.at(place);
  const chunks: Uint8Array[] = [];
  let size = 0;
  containers.take(limits.objectOverheadBytes);
  let taken = limits.objectOverheadBytes;
  try {
    for await (const chunk of chunksOf(source, limits.chunkBytes)) {
      size += chunk.length;
      if (size > limits.objectBytesMax) throw objectTooLarge(limits);
      containers.take(chunk.length);
      taken += chunk.length;
      chunks.push(chunk);
    }
    containers.put(place, name, { chunks, size, createdAt: createdAt(), revision });
  } catch (error) {
    containers.giveBack(taken);
    throw error;
  }
}

function page(names: readonly string[], { after, limit }: ObjectQuery, limits: BlobLimits): ObjectPage {
  let index = after === undefined ? 0 : positionOf(names, after);
  if (after !== undefined && names[index] === after) index += 1;
  const { keys, next } = pageOf(names.slice(index, index + limit + 1), limit, limits.listBytesMax);
  return next === undefined ? { objects: keys } : { objects: keys, next };
}
