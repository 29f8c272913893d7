import { isUtf8 } from "node:buffer";
import type { ByteSource } from "../../byte-source.ts";
import { blobLimits, streamLimits } from "../../limits.ts";
import { encode, type Form } from "../../protocol/codec.ts";
import type { Capability, CapabilityScope } from "../capability.ts";
import { readAll, sourceOfChunks } from "./byte-chunks.ts";
import {
  blobBucket,
  type BlobReply,
  type BlobRequest,
  type ByteRange,
  type ContainerPlace,
  type ObjectAddress,
  type ObjectPage,
  type ObjectQuery,
} from "./contract.ts";
import { type BlobLimits, exhausted, noContainer, noObject, stopped } from "./failures.ts";
import { parseBlobRequest } from "./parse-request.ts";

/** An object as it was when it was looked up. */
export interface StoredObject {
  readonly size: number;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Told from every other object that had or will have that name. */
  readonly revision: number;
  /** Its bytes from `start`, `length` of them, which it has. */
  open(start: number, length: number): ByteSource;
}

/** What a backend does: on names that were checked. All may reject with a `Failure`. */
export interface BlobStore {
  createContainer(place: ContainerPlace): Promise<void>;
  deleteContainer(place: ContainerPlace): Promise<void>;
  /** ISO 8601; undefined where there is none. */
  containerCreatedAt(place: ContainerPlace): Promise<string | undefined>;
  /** Rejects where there is no container, as do the next ones but `find` and `remove`. */
  list(place: ContainerPlace, query: ObjectQuery): Promise<ObjectPage>;
  clear(place: ContainerPlace): Promise<void>;
  /** All or nothing; whoever calls cancels the source when it rejects. */
  write(place: ContainerPlace, name: string, source: ByteSource): Promise<void>;
  /** Undefined also where there is no container. */
  find(place: ContainerPlace, name: string): Promise<StoredObject | undefined>;
  /** Whether it was there; with a revision, whether that very object was. */
  remove(place: ContainerPlace, name: string, revision?: number): Promise<boolean>;
  /** Several of them; how many were there. */
  removeAll(place: ContainerPlace, names: Iterable<string>): Promise<number>;
  /** Rejects with the reason, a `Failure`, while the store could not serve a call. */
  check(): Promise<void>;
  /** Called once, when nothing is in progress any more. */
  close(): Promise<void>;
}

/** A blob store capability that also tells whether its backend is well. */
export type BlobCapability = Capability & Pick<BlobStore, "check">;

/** The side of every backend that faces its caller: payloads, limits, streams, and an orderly end. */
export function blobCapability(store: BlobStore, limits: BlobLimits = blobLimits): BlobCapability {
  const inProgress = new Set<Promise<unknown>>();
  const world: BlobWorld = { store, limits, incoming: new Set() };
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    // A writer that is slow, or gone without a word, would keep it open.
    for (const source of world.incoming) source.cancel("the blob store is closed");
    await Promise.allSettled(inProgress);
    await store.close();
  }

  return {
    providerType: "blobstore",
    async call(scope, operation, payload) {
      if (closing !== undefined) throw stopped();
      const { request, form } = parseBlobRequest(operation, payload, limits);
      const performing = perform(world, scope, request);
      inProgress.add(performing);
      try {
        return encodeReply(await performing, form);
      } finally {
        inProgress.delete(performing);
      }
    },
    async check() {
      if (closing !== undefined) throw stopped();
      await store.check();
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

interface BlobWorld {
  readonly store: BlobStore;
  readonly limits: BlobLimits;
  /** Bodies on their way in. */
  readonly incoming: Set<ByteSource>;
}

async function perform(world: BlobWorld, scope: CapabilityScope, request: BlobRequest): Promise<BlobReply> {
  const { store } = world;
  const bucket = blobBucket(scope);
  switch (request.operation) {
    case "copy-object":
      await copy(world, bucket, request.from, request.to);
      return {};
    case "move-object": {
      const { from, to } = request;
      const revision = await copy(world, bucket, from, to);
      if (!isSame(from, to)) await store.remove({ bucket, container: from.container }, from.name, revision);
      return {};
    }
    case "put-object": {
      const { container, name, body } = request;
      const isHere = body instanceof Uint8Array;
      const source = isHere ? sourceOfChunks([body], 0, body.length) : scope.streams.open(body.stream);
      await write(world, { bucket, container }, name, source);
      return {};
    }
    case "get-object":
      return getObject(store, scope, { bucket, container: request.container }, request);
    case "create-container":
    case "delete-container":
    case "container-exists":
    case "container-info":
    case "clear-container":
    case "list-objects":
    case "object-exists":
    case "object-info":
    case "delete-objects":
      return performIn(store, { bucket, container: request.container }, request);
  }
}

async function write(
  { store, limits, incoming }: BlobWorld,
  place: ContainerPlace,
  name: string,
  source: ByteSource,
): Promise<void> {
  if (incoming.size >= limits.transfersMax) {
    source.cancel("too many bodies are on their way to this store");
    throw exhausted("transfersMax", limits, "Try again when others have ended.");
  }
  incoming.add(source);
  try {
    await store.write(place, name, source);
  } catch (error) {
    source.cancel("the object was not taken");
    throw error;
  } finally {
    incoming.delete(source);
  }
}

/** Gives the revision of what was copied. */
async function copy(
  world: BlobWorld,
  bucket: string,
  from: ObjectAddress,
  to: ObjectAddress,
): Promise<number> {
  const found = await world.store.find({ bucket, container: from.container }, from.name);
  if (found === undefined) throw noObject(from.container, from.name);
  if (isSame(from, to)) return found.revision;
  await write(world, { bucket, container: to.container }, to.name, found.open(0, found.size));
  return found.revision;
}

async function performIn(
  store: BlobStore,
  place: ContainerPlace,
  request: Exclude<BlobRequest, { operation: "copy-object" | "move-object" | "put-object" | "get-object" }>,
): Promise<BlobReply> {
  const { container } = place;
  switch (request.operation) {
    case "create-container":
      await store.createContainer(place);
      return {};
    case "delete-container":
      await store.deleteContainer(place);
      return {};
    case "container-exists":
      return { exists: (await store.containerCreatedAt(place)) !== undefined };
    case "container-info": {
      const createdAt = await store.containerCreatedAt(place);
      if (createdAt === undefined) throw noContainer(container);
      return { name: container, createdAt };
    }
    case "clear-container":
      await store.clear(place);
      return {};
    case "list-objects":
      return store.list(place, request);
    case "object-exists":
      return { exists: (await store.find(place, request.name)) !== undefined };
    case "object-info": {
      const { name } = request;
      const found = await store.find(place, name);
      if (found === undefined) throw noObject(container, name);
      return { name, container, createdAt: found.createdAt, size: found.size };
    }
    case "delete-objects":
      return { deleted: await store.removeAll(place, request.names) };
  }
}

async function getObject(
  store: BlobStore,
  scope: CapabilityScope,
  place: ContainerPlace,
  { name, start, end }: ByteRange & Pick<ObjectAddress, "name">,
): Promise<BlobReply> {
  const found = await store.find(place, name);
  if (found === undefined) throw noObject(place.container, name);
  const size = Math.max(0, Math.min(end ?? Infinity, found.size - 1) - start + 1);
  const source = found.open(start, size);
  if (size > streamLimits.inlineBytesMax) return { size, stream: scope.streams.serve(source) };
  return { size, body: await readAll(source, streamLimits.inlineBytesMax) };
}

function isSame(one: ObjectAddress, other: ObjectAddress): boolean {
  return one.container === other.container && one.name === other.name;
}

function encodeReply(reply: BlobReply, form: Form): Uint8Array {
  if (form === "msgpack" || !("body" in reply)) return encode(reply, form);
  const { body } = reply;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const shown = isUtf8(bytes) ? bytes.toString("utf8") : { base64: bytes.toString("base64") };
  return encode({ ...reply, body: shown }, form);
}
