import { ask } from "../../src/bus/ask.ts";
import type { Subscription } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import { timestamp } from "../../src/clock.ts";
import { cacheLimits, pullLimits } from "../../src/limits.ts";
import type { OciRegistry } from "../../src/modules/oci/registry.ts";
import { pullModule } from "../../src/modules/pull.ts";
import { createTurns } from "../../src/modules/turns.ts";
import { asFailure, errorBody, Failure } from "../../src/protocol/errors.ts";
import type { InstanceLimits } from "../../src/protocol/instance-spec.ts";
import type { NodeWorld } from "./node-world.ts";

/** A module and where it can be fetched. */
export interface WantedModule {
  readonly digest: string;
  /** Nodes that are said to hold it, the nearest first. */
  readonly holders: readonly string[];
  /** Its reference in a registry, for when no holder gives it. */
  readonly source?: string | undefined;
}

/** The modules of a node, as its commands need them. */
export interface Modules {
  /** Has the module here and admitted, fetched if need be, before `then` runs; nothing evicts it until that is over. */
  withModule<Result>(
    wanted: WantedModule,
    limits: InstanceLimits,
    then: () => Promise<Result>,
  ): Promise<Result>;
  /** Serves `module.put`, `module.read`, `module.pull` and `module.resolve`. */
  serve(): Subscription[];
}

/** Holds, fetches and admits the modules of that node, and states what it holds. */
export function createModules(world: NodeWorld): Modules {
  const { lattice, nodeId, bus, clock, log, speaker, cache, seat, instances } = world;
  const pulls = new Map<string, Promise<void>>();
  const held = new Map<string, number>();
  const admitted = new Set<string>();
  const inTurn = createTurns(pullLimits.pullsAtOnce);

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

  const readPiece = (
    { digest, holder }: { digest: string; holder: string },
    offset: number,
    length: number,
    signal: AbortSignal,
  ) => {
    const to = { lattice, node: holder };
    const timeoutMs = pullLimits.pieceTimeoutMs;
    return ask(bus, "node.module.read", to, { digest, offset, length }, { timeoutMs, signal });
  };

  async function pull({ digest, holders, source }: WantedModule): Promise<void> {
    const others = holders.filter((holder) => holder !== nodeId);
    try {
      await pullModule({
        digest,
        holders: others,
        cache,
        clock,
        pieceBytes: Math.min(cacheLimits.pieceBytes, bus.maxPayloadBytes - pullLimits.pieceOverheadBytes),
        readPiece: (holder, offset, length, signal) => readPiece({ digest, holder }, offset, length, signal),
      });
    } catch (error) {
      if (source === undefined) throw error;
      if (others.length > 0)
        log.info({ digest, reason: asFailure(error).message }, "no holder gave a module; its registry may");
      await registryOf(world).pull(source, digest, cache);
    }
    await noteStored(digest);
  }

  /** However many ask for it, it is fetched once. */
  async function have(wanted: WantedModule): Promise<void> {
    const { digest } = wanted;
    if (cache.has(digest)) return;
    const pulling = pulls.get(digest) ?? inTurn(() => pull(wanted)).finally(() => pulls.delete(digest));
    pulls.set(digest, pulling);
    await pulling;
  }

  async function holding<Result>(digest: string, work: () => Promise<Result>): Promise<Result> {
    held.set(digest, (held.get(digest) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (held.get(digest) ?? 1) - 1;
      if (left === 0) held.delete(digest);
      else held.set(digest, left);
    }
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

  const here = { lattice, node: nodeId };
  return {
    withModule: (wanted, limits, then) =>
      holding(wanted.digest, async () => {
        await have(wanted);
        await admit(wanted.digest, limits);
        return then();
      }),
    serve: () => [
      serve(bus, clock, "node.module.put", here, async ({ digest, sizeBytes, offset, bytes }) => {
        const complete = await cache.putPiece(digest, sizeBytes, offset, bytes);
        if (complete) await noteStored(digest);
        return { complete };
      }),
      serve(bus, clock, "node.module.read", here, ({ digest, offset, length }) =>
        cache.readPiece(digest, offset, length),
      ),
      serve(bus, clock, "node.module.pull", here, (wanted) =>
        holding(wanted.digest, async () => {
          await have(wanted);
          return { sizeBytes: cache.sizeOf(wanted.digest) ?? 0 };
        }),
      ),
      serve(bus, clock, "node.module.resolve", here, async ({ oci }) => ({
        ...(await registryOf(world).resolve(oci)),
      })),
    ],
  };
}

function registryOf({ registry, nodeId }: NodeWorld): OciRegistry {
  if (registry !== undefined) return registry;
  throw new Failure("NODE_UNAVAILABLE", `node ${nodeId} fetches nothing from registries`, {
    fix: "Start it on another node, or from the file.",
  });
}
