import { Failure } from "../../src/protocol/errors.ts";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import type { Engine, EngineEvent, EngineLauncher, GuestSpec } from "../../src/wasm/engine.ts";

/** An engine in memory that runs no guests but keeps every promise of the port. */
export interface FakeEngines {
  readonly launch: EngineLauncher;
  /** How many were launched. */
  readonly launches: number;
  /** The running guests of the present engine, with the grants that they have now. */
  readonly guests: ReadonlyMap<string, GuestSpec & { capabilities: readonly Assignment[] }>;
  say(event: EngineEvent): void;
  /** A guest ends as a trapping one does. */
  crash(instanceId: string, message: string): void;
  /** The engine process ends. */
  die(reason: string): void;
  /** Makes the next starts wait until the function returned is called. */
  holdStarts(): () => void;
  /** Starts of these instances fail from now on. */
  readonly startFailures: Map<string, Failure>;
  /** Modules that are not admitted. */
  readonly badModules: Map<string, Failure>;
  /** Calls in their order: `start a`, `stop a`, `grant a kv=kv:read`. */
  readonly log: string[];
}

/** A launcher of fake engines; `now` stamps crashes. */
export function fakeEngines(now: () => number = () => 0): FakeEngines {
  const guests = new Map<string, GuestSpec>();
  const startFailures = new Map<string, Failure>();
  const badModules = new Map<string, Failure>();
  const log: string[] = [];
  let launches = 0;
  let present: { say: (event: EngineEvent) => void; end: (reason: string) => void } | undefined;
  let gate: Promise<void> | undefined;

  const launch: EngineLauncher = async (onEvent, onEnd) => {
    launches += 1;
    let lives = true;
    const pending = new Set<(error: Failure) => void>();
    const gone = () => new Failure("COMMUNICATION_FAILURE", "the engine ended");
    const end = (reason: string) => {
      if (!lives) return;
      lives = false;
      guests.clear();
      present = undefined;
      for (const reject of pending) reject(gone());
      onEnd(reason);
    };
    const answer = async <T>(work: () => Promise<T> | T): Promise<T> => {
      if (!lives) throw gone();
      const lost = Promise.withResolvers<never>();
      pending.add(lost.reject);
      try {
        return await Promise.race([(async () => work())(), lost.promise]);
      } finally {
        pending.delete(lost.reject);
      }
    };
    present = { say: onEvent, end };
    const engine: Engine = {
      pid: 1_000 + launches,
      cells: 1,
      admit: (digest) =>
        answer(() => {
          const failure = badModules.get(digest);
          if (failure !== undefined) throw failure;
          return { guestKind: "wapc", sizeBytes: 8 };
        }),
      start: (spec) =>
        answer(async () => {
          log.push(`start ${spec.instanceId}`);
          await gate;
          const failure = startFailures.get(spec.instanceId);
          if (failure !== undefined) throw failure;
          if (lives) guests.set(spec.instanceId, spec);
        }),
      stop: (instanceId) =>
        answer(() => {
          log.push(`stop ${instanceId}`);
          guests.delete(instanceId);
        }),
      grant: (instanceId, capabilities) =>
        answer(() => {
          const shown = capabilities.map((one) => `${one.capabilityId}=${one.permissions.join(",")}`);
          log.push(`grant ${instanceId} ${shown.join(" ")}`.trimEnd());
          const guest = guests.get(instanceId);
          if (guest !== undefined) guests.set(instanceId, { ...guest, capabilities });
        }),
      held: () => answer(() => ({ held: [], unsure: [], stuck: [] })),
      async close() {
        log.push("close");
        end("closed");
      },
    };
    return engine;
  };

  return {
    launch,
    get launches() {
      return launches;
    },
    guests,
    say: (event) => present?.say(event),
    crash(instanceId, message) {
      guests.delete(instanceId);
      const crash = { reason: "trap" as const, message, at: new Date(now()).toISOString() };
      present?.say({ type: "instance.crashed", instanceId, crash });
    },
    die: (reason) => present?.end(reason),
    holdStarts() {
      const held = Promise.withResolvers<void>();
      gate = held.promise;
      return () => {
        gate = undefined;
        held.resolve();
      };
    },
    startFailures,
    badModules,
    log,
  };
}
