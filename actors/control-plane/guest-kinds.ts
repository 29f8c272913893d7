import { placementLimits } from "../../src/limits.ts";
import type { Fact } from "../../src/protocol/facts.ts";

/** Which kind of guest a module is, by its digest. */
export interface GuestKindsOfModules {
  heard(fact: Fact): void;
  /** Undefined where no node admitted it while this process listened: then every node with guests is asked. */
  of(digest: string): string | undefined;
}

/** Remembers what nodes said when they admitted a module; the oldest is forgotten first. */
export function createGuestKinds(capacity: number = placementLimits.guestKindsMax): GuestKindsOfModules {
  const kinds = new Map<string, string>();
  return {
    heard({ kind, data }) {
      if (kind !== "module.admitted") return;
      kinds.delete(data.digest);
      kinds.set(data.digest, data.guestKind);
      if (kinds.size > capacity) kinds.delete(kinds.keys().next().value as string);
    },
    of: (digest) => kinds.get(digest),
  };
}
