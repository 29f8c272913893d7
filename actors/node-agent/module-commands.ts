import { ask } from "../../src/bus/ask.ts";
import type { Subscription } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import { timestamp } from "../../src/clock.ts";
import { cacheLimits } from "../../src/limits.ts";
import { pullModule } from "../../src/modules/pull.ts";
import { errorBody } from "../../src/protocol/errors.ts";
import type { InstanceLimits } from "../../src/protocol/instance-spec.ts";
import type { NodeWorld } from "./node-world.ts";

/** The modules of a node, as its commands need them. */
export interface Modules {
  /** Has the module here and admitted, fetched from `holders` if need be, before `then` runs; nothing evicts it until that is over. */
  withModule<Result>(
    digest: string,
    holders: readonly string[],
    limits: InstanceLimits,
    then: () => Promise<Result>,
  ): Promise<Result>;
  /** Serves `module.put` and `module.read`. */
  serve(): Subscription[];
}

/** Holds, fetches and admits the modules of that node, and states what it holds. */
export function createModules(world: NodeWorld): Modules {
  const { lattice, nodeId, bus, clock, speaker, cache, seat, instances } = world;
  const pulls = new Map<string, Promise<void>>();
  const held = new Map<string, number>();
  const admitted = new Set<string>();

  async function noteStored(digest: string): Promise<void> {
    if (!speaker.own().modules.has(digest)) {
      speaker.state("module.stored", { digest, sizeBytes: cache.sizeOf(digest) ?? 0 });
    }
    const isInUse = (other: string) => other === digest || held.has(other) || instances.uses(other);
    for (const evicted of await cache.evict(isInUse)) {
      admitted.delete(evicted);
      speaker.state("module.evicted", { digest: evicted });
    }
  }

  async function pull(digest: string, holders: readonly string[]): Promise<void> {
    const others = holders.filter((holder) => holder !== nodeId);
    const readPiece = async (holder: string, offset: number, length: number) => {
      const timeoutMs = cacheLimits.pieceTimeoutMs;
      const answer = await ask(
        bus,
        "node.module.read",
        { lattice, node: holder },
        { digest, offset, length },
        { timeoutMs },
      );
      return answer as unknown as { bytes: Uint8Array; sizeBytes: number };
    };
    await pullModule({ digest, holders: others, readPiece, cache });
    await noteStored(digest);
  }

  async function have(digest: string, holders: readonly string[]): Promise<void> {
    if (cache.has(digest)) return;
    const pulling = pulls.get(digest) ?? pull(digest, holders).finally(() => pulls.delete(digest));
    pulls.set(digest, pulling);
    await pulling;
  }

  async function admit(digest: string, limits: InstanceLimits): Promise<void> {
    const engine = seat.now();
    try {
      const { guestKind, sizeBytes } = await engine.admit(digest, cache.fileOf(digest), limits);
      if (admitted.has(digest)) return;
      admitted.add(digest);
      speaker.state("module.admitted", { digest, guestKind, sizeBytes });
    } catch (error) {
      const body = errorBody(error, timestamp(clock));
      if (body.code === "INVALID_MODULE") speaker.state("module.refused", { digest, error: body });
      throw error;
    }
  }

  return {
    async withModule(digest, holders, limits, then) {
      held.set(digest, (held.get(digest) ?? 0) + 1);
      try {
        await have(digest, holders);
        await admit(digest, limits);
        return await then();
      } finally {
        const left = (held.get(digest) ?? 1) - 1;
        if (left === 0) held.delete(digest);
        else held.set(digest, left);
      }
    },
    serve: () => [
      serve(
        bus,
        clock,
        "node.module.put",
        { lattice, node: nodeId },
        async ({ digest, sizeBytes, offset, bytes }) => {
          const complete = await cache.putPiece(digest, sizeBytes, offset, bytes);
          if (complete) await noteStored(digest);
          return { complete };
        },
      ),
      serve(bus, clock, "node.module.read", { lattice, node: nodeId }, ({ digest, offset, length }) =>
        cache.readPiece(digest, offset, length),
      ),
    ],
  };
}
