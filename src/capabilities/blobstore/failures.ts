import type { blobLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";

/** What a store takes and holds; `blobLimits` unless a test wants to reach them. */
export type BlobLimits = { readonly [name in keyof typeof blobLimits]: number };

/** INVALID_REQUEST that names the field. */
export function wrong(operation: string, field: string, what: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", `blobstore ${operation}: ${field} ${what}`, {
    fix,
    details: { field },
  });
}

/** RESOURCE_EXHAUSTED that names the limit; `later` where deleting something helps. */
export function exhausted(
  limit: keyof BlobLimits,
  limits: BlobLimits,
  fix: string,
  retry: "never" | "later" = "later",
): Failure {
  const max = limits[limit];
  return new Failure("RESOURCE_EXHAUSTED", `blobstore: this would exceed ${limit}, ${max}`, {
    fix,
    details: { limit, max },
    retry,
  });
}

/** An object is larger than any may be. */
export function objectTooLarge(limits: BlobLimits): Failure {
  return exhausted("objectBytesMax", limits, "Split it into several objects.", "never");
}

/** There is no container of that name. */
export function noContainer(container: string): Failure {
  return new Failure("INVALID_REQUEST", `blobstore: there is no container ${echo(container)}`, {
    fix: "Make it first, with create-container.",
    details: { missing: "container" },
  });
}

/** There is no object of that name, or not even its container. */
export function noObject(container: string, name: string): Failure {
  const what = `blobstore: there is no object ${echo(name)} in container ${echo(container)}`;
  return new Failure("INVALID_REQUEST", what, {
    fix: "Look with list-objects, or ask with object-exists first.",
    details: { missing: "object" },
  });
}

/** The object was replaced or deleted while it was read. */
export function gone(name: string): Failure {
  return new Failure("COMMUNICATION_FAILURE", `blobstore: ${echo(name)} changed while it was read`, {
    fix: "Read it again from its beginning.",
  });
}

/** The store was closed. */
export function stopped(): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", "this blob store is closed", {
    fix: "Start the blobstore provider again, or assign another one.",
  });
}
