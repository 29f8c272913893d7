import { assertId } from "../../protocol/ids.ts";
import type { CapabilityScope } from "../capability.ts";

/**
 * What a guest asks of a key-value store. The payload is a map of these fields without `operation`; a key has 1 to
 * 512 bytes of UTF-8 and no NUL. Each operation is atomic; of the last three each key is, and not the whole: when
 * one fails, any of its keys may have been written or deleted.
 *
 * - `get { key }` → `{ value }`, null where there is none
 * - `get-revision { key }` → `{ value, revision }`, both null where there is none. A revision is an opaque text that
 *   every write of the key replaces; none comes twice, not even after the key was deleted and set to what it was.
 * - `set { key, value }` → `{}`
 * - `swap { key, value, revision }`: writes if the key still has that revision or, where it is null, if there is no
 *   such key. → `{ swapped: true, revision }`, the new one, or `{ swapped: false, value, revision }`, what is there
 * - `delete { key }` → `{ deleted }`, whether there was something to delete
 * - `exists { key }` → `{ exists }`
 * - `list { prefix?, limit?, after? }` → `{ keys, next? }`: keys in the order of their UTF-8 bytes, all behind
 *   `after`; where there are more, `next` is the `after` of the next page
 * - `increment { key, by? }` → `{ value }`: adds atomically to the integer whose decimal text is the value. A
 *   missing key counts from 0, `by` is 1 unless given.
 * - `get-many { keys }` → `{ values: [{ key, value }, …] }` in the order of the request, null where there is none
 * - `set-many { entries: [{ key, value }, …] }` → `{}`; of a key that comes twice the last value counts
 * - `delete-many { keys }` → `{ deleted }`, how many there were to delete
 *
 * A value is bytes. In a request it is bin, a string (its UTF-8 bytes) or `{ "base64": "…" }`; in an answer it is
 * bin in MessagePack, and in JSON a string where it is UTF-8 and `{ "base64": "…" }` where it is not.
 */
export type KvRequest =
  | { readonly operation: "get" | "get-revision" | "delete" | "exists"; readonly key: string }
  | { readonly operation: "set"; readonly key: string; readonly value: Uint8Array }
  | {
      readonly operation: "swap";
      readonly key: string;
      readonly value: Uint8Array;
      readonly revision: string | null;
    }
  | ({ readonly operation: "list" } & KeyQuery)
  | { readonly operation: "increment"; readonly key: string; readonly by: number }
  | { readonly operation: "get-many"; readonly keys: readonly string[] }
  | { readonly operation: "set-many"; readonly entries: ReadonlyMap<string, Uint8Array> }
  | { readonly operation: "delete-many"; readonly keys: ReadonlySet<string> };

/** The answers, in the order of the list of {@link KvRequest}. */
export type KvReply =
  | { value: Uint8Array | null }
  | Versioned
  | Record<string, never>
  | SwapReply
  | { deleted: boolean }
  | { exists: boolean }
  | KeyPage
  | { value: number }
  | { values: { key: string; value: Uint8Array | null }[] }
  | { deleted: number };

/** Which keys a list wants: those that begin with `prefix` and come behind `after`, `limit` of them at most. */
export interface KeyQuery {
  readonly prefix: string;
  readonly limit: number;
  readonly after: string | undefined;
}

/** Keys in order; with `next`, the last of them, where there are more. */
export interface KeyPage {
  keys: string[];
  next?: string;
}

/** A value with the revision that a swap names, both null where there is none. */
export type Versioned = { value: Uint8Array; revision: string } | { value: null; revision: null };

/** The new revision, or what is there instead of the revision that was named. */
export type SwapReply = { swapped: true; revision: string } | ({ swapped: false } & Versioned);

/**
 * The bucket of a scope: `bucket` of its configuration, or its name, so that instances see each other's data only
 * where they share a name or an operator gave them the same bucket. Starts with the lattice.
 * Throws INVALID_REQUEST for what is not a legal id.
 */
export function kvBucket(scope: CapabilityScope): string {
  const bucket = scope.config["bucket"] ?? scope.name;
  assertId(scope.lattice, "lattice");
  assertId(bucket, "bucket");
  // A slash is in no id, so two pairs never make one bucket.
  return `${scope.lattice}/${bucket}`;
}
