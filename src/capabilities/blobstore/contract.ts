import { assertId } from "../../protocol/ids.ts";
import type { CapabilityScope } from "../capability.ts";

/**
 * What a guest asks of a blob store. The payload is a map of these fields without `operation`. The name of a container
 * has 1 to 64 bytes of UTF-8, that of an object 1 to 1,024, neither a NUL.
 *
 * - `create-container { container }` → `{}`, also where it is there already
 * - `delete-container { container }` → `{}`, with all objects in it, also where it is not there
 * - `container-exists { container }` → `{ exists }`
 * - `container-info { container }` → `{ name, createdAt }`; times are ISO 8601
 * - `list-objects { container, after?, limit? }` → `{ objects, next? }`: names in the order of their UTF-8 bytes, all
 *   behind `after`; where there are more, `next` is the `after` of the next page
 * - `object-exists { container, name }` → `{ exists }`
 * - `object-info { container, name }` → `{ name, container, createdAt, size }`
 * - `delete-objects { container, names }` → `{ deleted }`, how many there were to delete
 * - `clear-container { container }` → `{}`: it is empty then, and still there
 * - `copy-object { from: { container, name }, to: { container, name } }` → `{}`, replacing what is there
 * - `move-object { from, to }` → `{}`: a copy, then the original goes unless somebody replaced it meanwhile
 * - `get-object { container, name, start?, end? }` → `{ size, body }` or `{ size, stream }`: the bytes from offset
 *   `start` to `end`, both inclusive as in wasi:blobstore, whole unless told; what lies beyond the end is left out.
 *   `size` is how many they are. Up to 64 KiB come as `body`, more as the reference of a stream. A reader
 *   whose object is replaced or deleted gets the bytes of before or COMMUNICATION_FAILURE, never a mixture.
 * - `put-object { container, name, body }` or `{ container, name, stream }` → `{}`: all or nothing. Of several at once
 *   the last to end counts; one that fails leaves what was there.
 *
 * A container or object that is not there is INVALID_REQUEST with `details.missing`. A body in a request is bin, a
 * string (its UTF-8 bytes) or `{ "base64": "…" }`; in an answer it is bin in MessagePack, and in JSON a string where it is
 * UTF-8 and `{ "base64": "…" }` where it is not.
 */
export type BlobRequest =
  | {
      readonly operation:
        | "create-container"
        | "delete-container"
        | "container-exists"
        | "container-info"
        | "clear-container";
      readonly container: string;
    }
  | ({ readonly operation: "list-objects"; readonly container: string } & ObjectQuery)
  | ({ readonly operation: "object-exists" | "object-info" } & ObjectAddress)
  | { readonly operation: "delete-objects"; readonly container: string; readonly names: ReadonlySet<string> }
  | {
      readonly operation: "copy-object" | "move-object";
      readonly from: ObjectAddress;
      readonly to: ObjectAddress;
    }
  | ({ readonly operation: "get-object" } & ObjectAddress & ByteRange)
  | ({
      readonly operation: "put-object";
      readonly body: Uint8Array | { readonly stream: string };
    } & ObjectAddress);

/** The answers, in the order of the list of {@link BlobRequest}. */
export type BlobReply =
  | Record<string, never>
  | { exists: boolean }
  | { name: string; createdAt: string }
  | ObjectPage
  | { name: string; container: string; createdAt: string; size: number }
  | { deleted: number }
  | { size: number; body: Uint8Array }
  | { size: number; stream: string };

/** An object within the bucket of a scope. */
export interface ObjectAddress {
  readonly container: string;
  readonly name: string;
}

/** Offsets of the first and the last byte. */
export interface ByteRange {
  readonly start: number;
  /** Undefined is the last byte that there is. */
  readonly end: number | undefined;
}

/** Which names a list wants: those that come behind `after`, `limit` of them at most. */
export interface ObjectQuery {
  readonly limit: number;
  readonly after: string | undefined;
}

/** Names in order; with `next`, the last of them, where there are more. */
export interface ObjectPage {
  objects: string[];
  next?: string;
}

/** A container of one bucket. */
export interface ContainerPlace {
  /** Lattice and bucket with a slash between, which is in neither. */
  readonly bucket: string;
  readonly container: string;
}

/**
 * The bucket of a scope, in which its containers are: `bucket` of its configuration, or its name, so that instances see
 * each other's objects only where they share a name or an operator gave them the same bucket. Starts with the
 * lattice. Throws INVALID_REQUEST for what is not a legal id.
 */
export function blobBucket(scope: CapabilityScope): string {
  const bucket = scope.config["bucket"] ?? scope.name;
  assertId(scope.lattice, "lattice");
  assertId(bucket, "bucket");
  return `${scope.lattice}/${bucket}`;
}
