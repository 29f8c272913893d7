import type { Subscription } from "../../src/bus/bus.ts";
import type { Bus, BusMessage } from "../../src/bus/bus.ts";
import { respondFailure } from "../../src/bus/guest-answers.ts";
import type { Chance } from "../../src/chance.ts";
import { delay } from "../../src/clock.ts";
import { filterFor, parametersOf } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import { asFailure, Failure } from "../../src/protocol/errors.ts";
import { callProvider } from "../../src/wasm/capability-calls.ts";
import { createDenials } from "../../src/wasm/denials.ts";
import type { Engine, EngineEvent, EngineLauncher, GuestSpec } from "../../src/wasm/engine.ts";
import { createGrants, type Grants } from "../../src/wasm/grants.ts";
import type { Host } from "./simulated-network.ts";
import { applicationData, lattice, type SimulatedWorld } from "./simulated-world.ts";

/** A guest that runs, with its grants as its cell enforces them. */
interface Guest {
  readonly spec: GuestSpec;
  readonly subscription: Subscription;
  grants: Grants;
}

/** The engines of one node, one life after the other, and what can befall them. */
export interface SimulatedEngines {
  readonly launch: EngineLauncher;
  /** What runs now, by instance. */
  readonly guests: ReadonlyMap<string, Guest>;
  /** A guest traps. */
  crash(instanceId: string): void;
  /** A cell is lost: the blamed guest crashes, the others are moved. */
  loseCell(blamed: string | undefined): void;
  abort(): void;
  /** A guest calls its provider by itself. */
  callOut(instanceId: string): void;
}

/** One start in so many takes that long at most, ms: a module that is new to its engine, or a guest with much to set up. */
const heavyStarts = { share: 0.12, ms: 2_500 };

/** How long a guest waits for its provider. */
export const guestCallTimeoutMs = 5_000;

/** Engines on that host: guests are instant, everything an engine does takes simulated time and may fail. */
export function createSimulatedEngines(world: SimulatedWorld, host: Host, chance: Chance): SimulatedEngines {
  const { clock } = host.process;
  const guests = new Map<string, Guest>();
  let present: { bus: Bus; say: (event: EngineEvent) => void; end: (reason: string) => void } | undefined;
  let launches = 0;
  let uids = 0;
  // A later life counts anew, while calls of this one may still be under way.
  const life = Math.floor(world.queue.now);

  const takeAWhile = (ms: number, heavyMs = 0) =>
    delay(clock, 1 + chance() * (ms * (host.slowMs > 0 ? 20 : 1) + heavyMs));

  async function callOut(bus: Bus, guest: Guest, denied: ReturnType<typeof createDenials>): Promise<void> {
    const { instanceId, incarnation } = guest.spec;
    const uid = `${host.id}-${life}-${launches}-${(uids += 1)}`;
    const payload = encode(
      { key: `k${uids % 5}`, value: new TextEncoder().encode(`${applicationData} ${uid}`) },
      "msgpack",
    );
    let provider: string;
    try {
      provider = guest.grants.check("store", "kv", "set", payload);
    } catch (error) {
      denied({
        type: "capability.denied",
        instanceId,
        capabilityId: "store",
        providerType: "kv",
        operation: "set",
        permission: "kv:write",
      });
      throw error;
    }
    world.observe({ type: "call.left", host: host.id, uid, instanceId, incarnation });
    const beganAt = world.queue.now;
    const settle = (outcome: string) =>
      world.observe({ type: "call.settled", uid, outcome, tookMs: world.queue.now - beganAt });
    try {
      const timeoutMs = guestCallTimeoutMs;
      const route = { lattice, nodeId: host.id, provider, operation: "set", timeoutMs, headers: undefined };
      await callProvider(bus, route, { instanceId, incarnation, capabilityId: "store", payload });
      settle("done");
    } catch (error) {
      settle(asFailure(error).code);
      throw error;
    }
  }

  function crash(instanceId: string): void {
    const guest = guests.get(instanceId);
    if (guest === undefined || present === undefined) return;
    guests.delete(instanceId);
    guest.subscription.unsubscribe();
    world.observe({ type: "guest.crashed", host: host.id, instanceId });
    const at = new Date(clock.now()).toISOString();
    present.say({
      type: "instance.crashed",
      instanceId,
      crash: { reason: "trap", message: "wasm trap: unreachable", at },
    });
  }

  const launch: EngineLauncher = async (onEvent, onEnd) => {
    launches += 1;
    await takeAWhile(100);
    if (chance() < 0.02) throw new Failure("COMMUNICATION_FAILURE", "the engine ended before it was ready");
    const connection = world.connect(host);
    const { bus } = connection;
    const pending = new Set<(error: Failure) => void>();
    const denied = createDenials(clock, onEvent);
    let lives = true;
    const gone = () => new Failure("COMMUNICATION_FAILURE", "the engine ended");

    function end(reason: string): void {
      if (!lives) return;
      lives = false;
      guests.clear();
      present = undefined;
      connection.drop();
      host.ends.delete(connection);
      for (const reject of pending) reject(gone());
      world.observe({ type: "engine.ended", host: host.id });
      onEnd(reason);
    }

    async function answer<T>(ms: number, work: () => Promise<T> | T, heavyMs = 0): Promise<T> {
      if (!lives) throw gone();
      const lost = Promise.withResolvers<never>();
      pending.add(lost.reject);
      try {
        return await Promise.race([
          takeAWhile(ms, heavyMs).then(() => (lives ? work() : Promise.reject(gone()))),
          lost.promise,
        ]);
      } finally {
        pending.delete(lost.reject);
      }
    }

    async function serveCall(spec: GuestSpec, message: BusMessage): Promise<void> {
      const guest = guests.get(spec.instanceId);
      try {
        if (guest === undefined) throw gone();
        if (parametersOf("call", message.subject).operation === "trap") {
          crash(spec.instanceId);
          throw new Failure("GUEST_TRAPPED", "wasm trap: unreachable");
        }
        await callOut(bus, guest, denied);
        message.respond(message.data);
      } catch (error) {
        if (lives) respondFailure(message, error, clock.now());
      }
    }

    async function start(spec: GuestSpec): Promise<void> {
      const { instanceId } = spec;
      const filter = filterFor("call", { lattice, target: instanceId });
      const subscription = bus.subscribe(
        filter,
        (message) => void serveCall(spec, message).catch(() => undefined),
        {
          queue: instanceId,
        },
      );
      const grants = createGrants(spec.name ?? instanceId, spec.capabilities);
      guests.get(instanceId)?.subscription.unsubscribe();
      guests.set(instanceId, { spec, subscription, grants });
      await bus.flush().catch((error: unknown) => {
        subscription.unsubscribe();
        if (guests.get(instanceId)?.subscription === subscription) guests.delete(instanceId);
        throw error;
      });
    }

    const engine: Engine = {
      pid: 1_000 + launches,
      cells: 1,
      admit: (digest) =>
        answer(20, () => {
          if (digest.endsWith("0000")) throw new Failure("INVALID_MODULE", "it is no module");
          return { guestKind: "wapc" as const, sizeBytes: 8 };
        }),
      start: (spec) => answer(20, () => start(spec), chance() < heavyStarts.share ? heavyStarts.ms : 0),
      stop: (instanceId) =>
        answer(10, async () => {
          const guest = guests.get(instanceId);
          guests.delete(instanceId);
          await guest?.subscription.drain();
        }),
      grant: (instanceId, capabilities) =>
        answer(2, () => {
          const guest = guests.get(instanceId);
          if (guest !== undefined) guest.grants = createGrants(guest.spec.name ?? instanceId, capabilities);
        }),
      held: () => answer(2, () => ({ held: [], unsure: [], stuck: [] })),
      async close() {
        end("closed");
      },
    };
    present = { bus, say: onEvent, end };
    callPresent = (guest) => callOut(bus, guest, denied);
    return engine;
  };
  let callPresent: (guest: Guest) => Promise<void> = async () => {};

  return {
    launch,
    guests,
    crash,
    loseCell(blamed) {
      if (present === undefined) return;
      const moved = Math.max(0, guests.size - 1);
      present.say({ type: "cell.lost", reason: "past its deadline", blamed, moved });
      if (blamed !== undefined) crash(blamed);
    },
    abort: () => present?.end("the engine process ended: SIGABRT"),
    callOut(instanceId) {
      const guest = guests.get(instanceId);
      if (guest !== undefined) callPresent(guest).catch(() => undefined);
    },
  };
}
