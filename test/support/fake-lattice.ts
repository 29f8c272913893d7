import pino from "pino";
import { afterEach } from "vitest";
import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import { seededChance } from "../../src/chance.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { type FakeNode, startFakeNode } from "./fake-node.ts";
import { startMemoryServer } from "./memory-bus.ts";
import { virtualClock } from "./virtual-clock.ts";

const lattice = "default";
const log = pino({ level: "silent" });
/** Of the module that every node has. */
export const digest = `sha256:${"a".repeat(64)}`;
const planes: ControlPlane[] = [];

afterEach(() => planes.splice(0).forEach((plane) => void plane.stop()));

/** Nodes that say what a test lets them say, and a control plane that listens. */
export async function fakeLattice(nodeIds: readonly string[]) {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const client = server.connect();
  const nodes = new Map<string, FakeNode>();
  const buses = new Map<string, Bus>();
  const begin = (nodeId: string, aheadMs = 0) => {
    const bus = server.connect();
    buses.set(nodeId, bus);
    const own: typeof clock = Object.create(clock, { now: { value: () => clock.now() + aheadMs } });
    const node = startFakeNode({ bus, clock: own, nodeId });
    serve(bus, clock, "node.instance.yield", { lattice, node: nodeId }, ({ instanceIds }) => {
      for (const instanceId of instanceIds) node.speaker.state("instance.yielding", { instanceId });
      return { instances: instanceIds };
    });
    node.speaker.state("module.stored", { digest, sizeBytes: 8 });
    nodes.set(nodeId, node);
    return node;
  };
  const pass = async (seconds: number) => {
    for (let tenth = 0; tenth < seconds * 10; tenth += 1) {
      await clock.advance(100);
      if (tenth % 10 === 0) for (const node of nodes.values()) node.heartbeat();
    }
  };
  const lose = (nodeId: string) => server.disconnect(buses.get(nodeId));
  const regain = (nodeId: string) => server.reconnect(buses.get(nodeId));
  nodeIds.forEach(begin);
  const plane = (controlPlaneId: string) => {
    const bus = server.connect();
    const one = startControlPlane({ lattice, controlPlaneId, bus, clock, chance: seededChance(1), log });
    planes.push(one);
    return {
      ready: one.ready,
      cutOff: () => server.disconnect(bus),
      back: () => server.reconnect(bus),
      stop: () => one.stop(),
    };
  };
  const first = plane("cp");
  await pass(1);
  const command = <Name extends Extract<SubjectName, `ctl.${string}`>>(
    name: Name,
    question: QuestionOf<Name>,
  ) => ask(client, name, { lattice }, question, { timeoutMs: 60_000 });
  const told = async () => {
    const { instances } = await command("ctl.instance.list", {});
    return instances.map(
      ({ instanceId, nodeId, status, incarnation }) => `${instanceId} ${nodeId} ${status} ${incarnation}`,
    );
  };
  return { begin, lose, regain, pass, command, told, first, plane };
}

/** Of which start command a copy is. */
const firstStart = { commandId: "c1", createdAt: "2023-01-01T00:00:00.000Z" };

/** A copy begins there. */
export function starting(
  { speaker }: FakeNode,
  instanceId: string,
  incarnation: number,
  { commandId, createdAt } = firstStart,
): void {
  speaker.state("instance.starting", {
    spec: {
      instanceId,
      incarnation,
      moduleHash: digest,
      capabilities: [],
      restartPolicy: { type: "never" },
      limits: { memoryBytes: 65_536, fuel: 1_000, timeoutMs: 1_000, mailbox: 1 },
      config: {},
      requires: {},
      onNodeLoss: "relocate",
      reuse: true,
      commandId,
      createdAt,
    },
    restarts: 0,
  });
}

/** A copy runs there. */
export function running(node: FakeNode, instanceId: string, incarnation: number, start = firstStart): void {
  starting(node, instanceId, incarnation, start);
  node.speaker.state("instance.running", { instanceId, restarts: 0 });
}

/** The copy there could not be started. */
export function startFails({ speaker }: FakeNode, instanceId: string): void {
  const at = "2026-01-01T00:00:00.000Z";
  speaker.state("instance.crashed", {
    instanceId,
    restarts: 0,
    crash: { reason: "start-failure", message: "COMMUNICATION_FAILURE: the bus is away", at },
  });
}
