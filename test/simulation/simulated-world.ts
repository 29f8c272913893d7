import { createHash } from "node:crypto";
import { type Chance, seededChance } from "../../src/chance.ts";
import { decode } from "../../src/protocol/codec.ts";
import type { Fact, FactReplay } from "../../src/protocol/facts.ts";
import type { ControlPlaneBeat } from "../../src/protocol/node-commands.ts";
import { createEventQueue, type EventQueue } from "./event-queue.ts";
import type { Observation } from "./observations.ts";
import { createNetwork, type Host, type SimulatedNetwork } from "./simulated-network.ts";
import { connectSimulated, type SimulatedBus } from "./simulated-bus.ts";
import { beginProcess, type ClockError, type SimulatedProcess } from "./simulated-process.ts";
import { createTrace, type Trace } from "./trace.ts";

/** The lattice of every simulation. */
export const lattice = "default";

/** Text that is application data: no fact, no answer of a control plane and no command may hold it. */
export const applicationData = "app-data";

/** One seed's world: its time, its chance, its network, and those who look on. */
export interface SimulatedWorld {
  readonly queue: EventQueue;
  readonly network: SimulatedNetwork;
  readonly trace: Trace;
  readonly hosts: Map<string, Host>;
  /** A source of chance of that name; what one draws does not change what another does. */
  chance(name: string): Chance;
  begin(error: ClockError): SimulatedProcess;
  connect(host: Host): SimulatedBus;
  /** Calls back with what is seen of these types, in the order of the listeners. */
  onObservation(types: readonly Observation["type"][], listener: (observation: Observation) => void): void;
  observe(observation: Observation): void;
  /** An error that nobody caught; it ends the simulation as a failure of its own. */
  onError: (error: unknown) => void;
  /** Lets everything happen until then. */
  runUntil(moment: number): Promise<void>;
}

/** A world in which nothing has happened yet. */
export function createWorld(seed: number, keepsTrace: boolean): SimulatedWorld {
  const queue = createEventQueue();
  const chance = (name: string) =>
    seededChance(createHash("sha256").update(`${seed} ${name}`).digest().readUInt32LE());
  const network = createNetwork(queue, chance("network"));
  const trace = createTrace(queue, keepsTrace);
  const listeners = new Map<string, ((observation: Observation) => void)[]>();
  const observe = (observation: Observation) => {
    if (explained.has(observation.type))
      trace.explain(() => JSON.stringify({ ...observation, answer: undefined }));
    for (const listener of listeners.get(observation.type) ?? []) listener(observation);
  };
  let isAwake = false;

  network.onDelivery = (to, message) => {
    trace.delivery(to.id, message);
    if (message.said === undefined) return;
    if (isRecalled(message.said)) observe({ type: "recalled", host: to.id, parts: message.said.parts });
    else if (isBeat(message.subject)) {
      const { controlPlane, ready, leaving } = message.said as ControlPlaneBeat;
      if (controlPlane !== to.id)
        observe({ type: "beat", host: to.id, from: controlPlane, ready: ready && leaving !== true });
    } else observe({ type: "heard", host: to.id, said: message.said as Fact | FactReplay });
  };

  function witness(
    host: Host,
    subject: string,
    data: Uint8Array,
    isSent: boolean,
    asked: string | undefined,
  ): unknown {
    trace.publish(host.id, subject, data);
    if (isSent) observe({ type: "message", host: host.id, subject, data });
    if (asked?.endsWith(".recall") === true) return decode(data).value;
    if (!subject.startsWith("wasmatrix.fact.") && !isBeat(subject)) return undefined;
    const said: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.length).toString());
    if (isBeat(subject)) return said;
    const fact = said as Fact;
    const { kind, seq, cause } = fact;
    trace.explain(
      () => `${host.id} ${seq} ${kind} ${cause ?? ""} ${JSON.stringify(fact.data ?? {}).slice(0, 300)}`,
    );
    if (fact.kind !== "node.heartbeat" && (fact.kind as string) !== "node.replay")
      observe({ type: "stated", host: host.id, fact, clockMs: host.process.clock.now() });
    return fact;
  }

  const world: SimulatedWorld = {
    queue,
    network,
    trace,
    hosts: network.hosts,
    chance,
    begin: (error) =>
      beginProcess(
        {
          queue,
          wake: () => (isAwake = true),
          onError: (thrown) => world.onError(thrown),
        },
        error,
      ),
    connect: (host) => connectSimulated(network, host, witness),
    onObservation(types, listener) {
      for (const type of types) listeners.set(type, [...(listeners.get(type) ?? []), listener]);
    },
    observe,
    onError: () => {},
    async runUntil(moment) {
      // What was begun by hand goes on first.
      await settled();
      while (queue.step(moment)) {
        if (!isAwake) continue;
        isAwake = false;
        await settled();
      }
    },
  };
  return world;
}

const explained: ReadonlySet<string> = new Set([
  "command.sent",
  "command.settled",
  "began",
  "ended",
  "bus.lost",
  "bus.regained",
]);

function isRecalled(said: unknown): said is { readonly parts: readonly FactReplay[] } {
  return Array.isArray((said as { parts?: unknown }).parts);
}

function isBeat(subject: string): boolean {
  return subject.startsWith("wasmatrix.plane.") && subject.endsWith(".beat");
}

/** Resolves when every promise that could go on has gone on: an immediate runs after all microtasks. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
