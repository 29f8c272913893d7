import { vi } from "vitest";
import type { Fact } from "../../src/protocol/facts.ts";
import type { TestLattice } from "./lattice.ts";

/** What the nodes state on the bare bus, as any stranger on it would hear it. */
export interface HeardFacts {
  /** In the order in which they came; heartbeats and replays are left out. */
  readonly all: readonly Fact[];
  /** The kinds of the facts about that instance's life, in order, without the `instance.` before them. */
  kindsOf(instanceId: string): string[];
  /** Waits until the life of that instance has so many facts; gives their kinds. */
  untilTold(instanceId: string, count: number): Promise<string[]>;
  stop(): void;
}

/** Listens to every fact of the lattice, from the return of this function on. */
export async function hearFacts(lattice: TestLattice): Promise<HeardFacts> {
  const all: Fact[] = [];
  const lives = new Map<string, string[]>();
  const subscription = lattice.bus.subscribe("wasmatrix.fact.v1.default.*.*.*", (message) => {
    const fact = JSON.parse(new TextDecoder().decode(message.data)) as Fact | { kind: "node.replay" };
    if (fact.kind === "node.replay" || fact.kind === "node.heartbeat") return;
    all.push(fact);
    if (!fact.kind.startsWith("instance.")) return;
    const instanceId = instanceIn(fact);
    lives.set(instanceId, [...(lives.get(instanceId) ?? []), fact.kind.slice("instance.".length)]);
  });
  await lattice.bus.flush();
  const kindsOf = (instanceId: string) => lives.get(instanceId) ?? [];
  return {
    all,
    kindsOf,
    untilTold: async (instanceId, count) =>
      vi.waitFor(
        () => {
          const kinds = kindsOf(instanceId);
          if (kinds.length < count)
            throw new Error(`${instanceId}: ${count} facts awaited, heard ${kinds.join()}`);
          return kinds;
        },
        { timeout: 5_000, interval: 1 },
      ),
    stop: () => subscription.unsubscribe(),
  };
}

/** The instance that a fact is about; empty where it is about none. */
export function instanceIn(fact: Fact): string {
  if (fact.kind === "instance.starting") return fact.data.spec.instanceId;
  return "instanceId" in fact.data ? String(fact.data.instanceId) : "";
}
