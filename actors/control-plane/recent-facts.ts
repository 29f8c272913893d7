import type { Fact } from "../../src/protocol/facts.ts";
import { controlPlaneLimits } from "../../src/limits.ts";

/** The latest facts, as many as memory is meant to hold; heartbeats are not among them. */
export interface RecentFacts {
  add(fact: Fact): void;
  /** The latest `limit` that match, oldest first. */
  latest(limit: number, matches: (fact: Fact) => boolean): Fact[];
}

/** A ring: the oldest fact makes room for the newest. */
export function createRecentFacts(capacity: number = controlPlaneLimits.recentFactsMax): RecentFacts {
  const ring: Fact[] = [];
  let next = 0;
  return {
    add(fact) {
      if (fact.kind === "node.heartbeat") return;
      ring[next] = fact;
      next = (next + 1) % capacity;
    },
    latest(limit, matches) {
      const found: Fact[] = [];
      for (let back = 1; back <= ring.length && found.length < limit; back += 1) {
        const fact = ring[(next - back + ring.length) % ring.length];
        if (fact !== undefined && matches(fact)) found.push(fact);
      }
      return found.toReversed();
    },
  };
}
