import type { ContainerPlace } from "./contract.ts";

/**
 * The JetStream object store of a container. Lattice and bucket may contain every character that JetStream allows
 * in a name, so no separator could part them: the length of the first does, and that of both. The container's own
 * name, any text, comes as base64url.
 */
export function natsStoreName({ bucket, container }: ContainerPlace): string {
  return `${natsStorePrefix(bucket)}${Buffer.from(container).toString("base64url")}`;
}

/** What the names of all stores of a bucket begin with, and those of no other. */
export function natsStorePrefix(bucket: string): string {
  const slash = bucket.indexOf("/");
  const name = bucket.slice(slash + 1);
  return `wasmatrix_${slash}_${name.length}_${bucket.slice(0, slash)}_${name}_`;
}

/** The stream behind an object store (NATS ADR-20). */
export function streamOf(store: string): string {
  return `OBJ_${store}`;
}

/** The subject of the description of an object, whose name is in base64url of its UTF-8 bytes, padded (ADR-20). */
export function metaSubject(store: string, name: string): string {
  // Node leaves the padding out, other clients do not.
  const encoded = Buffer.from(name).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
  return `$O.${store}.M.${encoded}`;
}

/** The subjects of all descriptions. */
export function allMetaSubjects(store: string): string {
  return `$O.${store}.M.>`;
}

/** The subject that all chunks of an object have; `nuid` is of legal characters. */
export function chunkSubject(store: string, nuid: string): string {
  return `$O.${store}.C.${nuid}`;
}
