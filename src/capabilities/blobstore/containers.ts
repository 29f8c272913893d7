import { positionOf } from "../kv/key-order.ts";
import type { ContainerPlace } from "./contract.ts";
import { type BlobLimits, exhausted, noContainer } from "./failures.ts";

/** An object in memory; its chunks never change. */
export interface MemoryObject {
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly revision: number;
}

/** A container in memory. */
export interface Container {
  readonly createdAt: string;
  readonly objects: ReadonlyMap<string, MemoryObject>;
  /** The names of `objects`, in order, so that a page costs no sorting. */
  readonly names: readonly string[];
}

/** Objects by container. What a limit forbids throws RESOURCE_EXHAUSTED and changes nothing. */
export interface Containers {
  find(place: ContainerPlace): Container | undefined;
  /** Throws INVALID_REQUEST where there is none. */
  at(place: ContainerPlace): Container;
  create(place: ContainerPlace, createdAt: string): void;
  delete(place: ContainerPlace): void;
  clear(place: ContainerPlace): void;
  /** Makes room for bytes that come; what is not given to `put` must be given back. */
  take(bytes: number): void;
  giveBack(bytes: number): void;
  /** Puts an object in the place of what is there; what it costs was taken already. */
  put(place: ContainerPlace, name: string, object: MemoryObject): void;
  /** Whether it was there; with a revision, whether that very object was. */
  remove(place: ContainerPlace, name: string, revision?: number): boolean;
  forgetAll(): void;
}

interface MutableContainer extends Container {
  readonly bucket: string;
  readonly objects: Map<string, MemoryObject>;
  readonly names: string[];
  bytes: number;
}

/** No containers. */
export function createContainers(limits: BlobLimits): Containers {
  const containers = new Map<string, MutableContainer>();
  let bytesHeld = 0;

  // Neither part of the bucket has a slash, so the container's own do no harm.
  const keyOf = ({ bucket, container }: ContainerPlace) => `${bucket}/${container}`;
  const find = (place: ContainerPlace) => containers.get(keyOf(place));
  const costOf = ({ size }: MemoryObject) => size + limits.objectOverheadBytes;

  function at(place: ContainerPlace): MutableContainer {
    const found = find(place);
    if (found === undefined) throw noContainer(place.container);
    return found;
  }

  function empty(container: MutableContainer): void {
    bytesHeld -= container.bytes;
    container.bytes = 0;
    container.objects.clear();
    container.names.length = 0;
  }

  return {
    find,
    at,
    create(place, createdAt) {
      const { bucket } = place;
      if (find(place) !== undefined) return;
      assertRoom(containers, bucket, limits);
      containers.set(keyOf(place), { bucket, createdAt, objects: new Map(), names: [], bytes: 0 });
    },
    delete(place) {
      const container = find(place);
      if (container === undefined) return;
      empty(container);
      containers.delete(keyOf(place));
    },
    clear: (place) => empty(at(place)),
    take(bytes) {
      if (bytesHeld + bytes > limits.bytesMax) {
        throw exhausted("bytesMax", limits, "Delete objects, or start another blobstore provider.");
      }
      bytesHeld += bytes;
    },
    giveBack: (bytes) => void (bytesHeld -= bytes),
    put(place, name, object) {
      const container = at(place);
      const old = container.objects.get(name);
      const growth = costOf(object) - (old === undefined ? 0 : costOf(old));
      if (container.bytes + growth > limits.bytesPerContainerMax) {
        throw exhausted("bytesPerContainerMax", limits, "Delete objects, or use several containers.");
      }
      if (old === undefined) container.names.splice(positionOf(container.names, name), 0, name);
      else bytesHeld -= costOf(old);
      container.bytes += growth;
      container.objects.set(name, object);
    },
    remove(place, name, revision) {
      const container = find(place);
      const object = container?.objects.get(name);
      if (container === undefined || object === undefined) return false;
      if (revision !== undefined && revision !== object.revision) return false;
      container.objects.delete(name);
      container.names.splice(positionOf(container.names, name), 1);
      container.bytes -= costOf(object);
      bytesHeld -= costOf(object);
      return true;
    },
    forgetAll() {
      containers.clear();
      bytesHeld = 0;
    },
  };
}

function assertRoom(
  containers: ReadonlyMap<string, MutableContainer>,
  bucket: string,
  limits: BlobLimits,
): void {
  const ofBucket = [...containers.values()].filter((one) => one.bucket === bucket).length;
  if (ofBucket >= limits.containersPerBucketMax) {
    throw exhausted("containersPerBucketMax", limits, "Delete containers, or use fewer.");
  }
  if (containers.size >= limits.containersMax) {
    throw exhausted("containersMax", limits, "Delete containers, or start another blobstore provider.");
  }
}
