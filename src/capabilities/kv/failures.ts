import type { kvLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";

/** What a store takes and holds; `kvLimits` unless a test wants to reach them. */
export type KvLimits = { readonly [name in keyof typeof kvLimits]: number };

/** INVALID_REQUEST that names the field. */
export function wrong(operation: string, field: string, what: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", `kv ${operation}: ${field} ${what}`, { fix, details: { field } });
}

/** RESOURCE_EXHAUSTED that names the limit; `later` where deleting something helps. */
export function exhausted(
  limit: keyof KvLimits,
  limits: KvLimits,
  fix: string,
  retry: "never" | "later" = "later",
): Failure {
  const max = limits[limit];
  return new Failure("RESOURCE_EXHAUSTED", `kv: this would exceed ${limit}, ${max}`, {
    fix,
    details: { limit, max },
    retry,
  });
}

/** The store was closed. */
export function stopped(): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", "this kv store is closed", {
    fix: "Start the kv provider again, or assign another one.",
  });
}
