import { createActor, waitFor } from "xstate";
import type { Chance } from "../../src/chance.ts";
import type { Clock } from "../../src/clock.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { InstanceSpec, InstanceSummary } from "../../src/protocol/instance-spec.ts";
import type { ModuleCache } from "../../src/modules/module-cache.ts";
import type { GuestSpec } from "../../src/wasm/engine.ts";
import { type InstanceActor, type InstanceEvent, instanceMachine } from "../instance/instance-machine.ts";
import type { EngineSeat } from "./engine-child.ts";

/** The instances of a node that have not ended. */
export interface InstanceTable {
  readonly size: number;
  get(instanceId: string): InstanceActor | undefined;
  ids(): string[];
  begin(spec: InstanceSpec): InstanceActor;
  tell(instanceId: string, event: InstanceEvent): void;
  tellAll(event: InstanceEvent): void;
  /** Whether an instance that has not ended is made from that module. */
  uses(digest: string): boolean;
}

/** What the instances of a node are made of. */
export interface InstanceTableWorld {
  speaker: Speaker;
  clock: Clock;
  chance: Chance;
  seat: EngineSeat;
  cache: () => ModuleCache;
}

/**
 * A table without instances. Each is an actor system of its own, not a child of the node's machine: a machine
 * copies the list of its children with each new one, which 10,000 of them would feel.
 */
export function createInstanceTable({
  speaker,
  clock,
  chance,
  seat,
  cache,
}: InstanceTableWorld): InstanceTable {
  const actors = new Map<string, InstanceActor>();
  const usesOf = new Map<string, number>();

  function begin(spec: InstanceSpec): InstanceActor {
    const { instanceId, moduleHash } = spec;
    // A stop waits for the start before it: the engine must not be told to stop what it has yet to start.
    let starting: Promise<void> = Promise.resolve();
    const start = (signal: AbortSignal) => {
      const before = starting;
      const begun = before.then(async () => {
        const engine = await seat.whenThere(signal);
        signal.throwIfAborted();
        await engine.start(guestSpec(spec, speaker, cache()));
      });
      starting = begun.catch(() => undefined);
      return begun;
    };
    const stop = async () => {
      // The engine of now: a later one may hold a later life of the same id by the time it is this stop's turn.
      const engine = seat.current;
      const stopped = starting.then(() => engine?.stop(instanceId));
      starting = stopped.catch(() => undefined);
      await stopped;
    };
    const actor = createActor(instanceMachine, {
      clock,
      input: {
        spec,
        now: () => clock.now(),
        chance,
        state: (kind, data, cause) => speaker.state(kind, data, cause),
        start,
        stop,
      },
    });
    actors.set(instanceId, actor);
    usesOf.set(moduleHash, (usesOf.get(moduleHash) ?? 0) + 1);
    const forget = () => {
      if (actors.get(instanceId) === actor) actors.delete(instanceId);
      const left = (usesOf.get(moduleHash) ?? 1) - 1;
      if (left === 0) usesOf.delete(moduleHash);
      else usesOf.set(moduleHash, left);
    };
    actor.subscribe({ complete: forget, error: forget });
    actor.start();
    return actor;
  }

  return {
    get size() {
      return actors.size;
    },
    get: (instanceId) => actors.get(instanceId),
    ids: () => [...actors.keys()],
    begin,
    tell: (instanceId, event) => actors.get(instanceId)?.send(event),
    tellAll(event) {
      for (const actor of actors.values()) actor.send(event);
    },
    uses: (digest) => usesOf.has(digest),
  };
}

/** Resolves once the instance runs; rejects when its start did not lead there, though its policy may still try. */
export async function untilRunning(actor: InstanceActor): Promise<void> {
  const settled = await waitFor(actor, (snapshot) =>
    (["running", "backing-off", "crashed", "gave-up", "stopped"] as const).some((state) =>
      snapshot.matches(state),
    ),
  );
  if (settled.matches("running")) return;
  const { failure, crash, reason } = settled.context;
  if (failure !== undefined) throw failure;
  const state = String(settled.value);
  throw new Failure("INSTANCE_UNAVAILABLE", `the instance is ${state}: ${crash?.message ?? reason}`, {
    fix: "Look at its facts: wasmatrix facts",
  });
}

/** Resolves once the instance has ended. */
export async function untilStopped(actor: InstanceActor): Promise<void> {
  await waitFor(actor, (snapshot) => snapshot.status !== "active");
}

/** An instance as answers show it. */
export function summaryOf({ nodeId, spec, status, restarts, since }: InstanceView): InstanceSummary {
  const { instanceId, name, moduleHash, createdAt, incarnation, audit } = spec;
  return {
    instanceId,
    nodeId,
    ...(name === undefined ? {} : { name }),
    moduleHash,
    createdAt,
    status,
    incarnation,
    restarts,
    since,
    ...(audit === true ? { audit } : {}),
  };
}

function guestSpec(spec: InstanceSpec, speaker: Speaker, cache: ModuleCache): GuestSpec {
  const { instanceId, name, incarnation, moduleHash, limits, config, reuse, audit } = spec;
  const grants = speaker.own().instances.get(instanceId)?.assignments.values();
  return {
    instanceId,
    name,
    incarnation,
    digest: moduleHash,
    moduleFile: cache.fileOf(moduleHash),
    limits,
    config,
    reuse,
    ...(audit === true ? { audit } : {}),
    capabilities: [...(grants ?? spec.capabilities)],
  };
}
