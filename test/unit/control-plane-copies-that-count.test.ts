import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import { seededChance } from "../../src/chance.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { type FakeNode, startFakeNode } from "../support/fake-node.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const lattice = "default";
const log = pino({ level: "silent" });
const digest = `sha256:${"a".repeat(64)}`;
const planes: ControlPlane[] = [];

afterEach(() => planes.splice(0).forEach((plane) => void plane.stop()));

/** Nodes that say what a test lets them say, and a control plane that listens. */
async function world(nodeIds: readonly string[]) {
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
    planes.push(startControlPlane({ lattice, controlPlaneId, bus, clock, chance: seededChance(1), log }));
    return { cutOff: () => server.disconnect(bus), back: () => server.reconnect(bus) };
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

function starting(
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

function running(node: FakeNode, instanceId: string, incarnation: number, start = firstStart): void {
  starting(node, instanceId, incarnation, start);
  node.speaker.state("instance.running", { instanceId, restarts: 0 });
}

function startFails({ speaker }: FakeNode, instanceId: string): void {
  const at = "2026-01-01T00:00:00.000Z";
  speaker.state("instance.crashed", {
    instanceId,
    restarts: 0,
    crash: { reason: "start-failure", message: "COMMUNICATION_FAILURE: the bus is away", at },
  });
}

/** A world in which node two has answered that it started some of what a life of node one left behind, and nobody has heard its facts. */
async function unheardStarts() {
  const { begin, pass, told } = await world([]);
  const [one, two] = [begin("one"), begin("two")];
  const ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
  for (const id of ids) running(one, id, 1);
  await pass(1);
  two.isUnheard = true;
  begin("one");
  await pass(0.5);
  const taken = ids.filter((id) => two.commands.join().includes(` ${id}`));
  expect(taken).not.toEqual([]);
  return { begin, pass, told, two, ids, taken };
}

describe("R8.2 P12: which of two copies counts", () => {
  it("a copy that moves goes on until the one that takes over runs, whoever looks meanwhile", async () => {
    const { begin, pass } = await world([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    one.speaker.state("instance.yielding", { instanceId: "moved" });
    starting(two, "moved", 2);
    await pass(1);
    expect(one.commands).toEqual([]);
    two.speaker.state("instance.running", { instanceId: "moved", restarts: 0 });
    await pass(1);
    expect(one.commands).toEqual(["fence moved 1"]);
  });

  it("a copy that moves goes on while the one that takes over has crashed and waits for its next try", async () => {
    const { begin, pass } = await world([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    one.speaker.state("instance.yielding", { instanceId: "moved" });
    starting(two, "moved", 2);
    const at = "2023-12-01T00:00:00.000Z";
    const crash = { reason: "trap" as const, message: "wasm trap: unreachable", at };
    two.speaker.state("instance.crashed", { instanceId: "moved", restarts: 0, crash });
    const next = { attempt: 1, delayMs: 1_000, until: at };
    two.speaker.state("instance.backing-off", { instanceId: "moved", restarts: 0, ...next });
    await pass(1);
    expect(one.commands).toEqual([]);
    two.speaker.state("instance.running", { instanceId: "moved", restarts: 1 });
    await pass(1);
    expect(one.commands).toEqual(["fence moved 1"]);
  });

  it("P12: a copy that starts protects none but the one that it replaces", async () => {
    const { begin, pass } = await world([]);
    const [one, two, three] = [begin("one"), begin("two"), begin("three")];
    running(two, "moved", 2);
    starting(three, "moved", 3);
    running(one, "moved", 1);
    await pass(1);
    expect(one.commands).toEqual(["fence moved 1"]);
    expect(two.commands).toEqual([]);
  });

  it("a copy that could not be told to make room is told again, although nobody says anything of it", async () => {
    const { begin, lose, regain, pass } = await world([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    await pass(1);
    lose("one");
    running(two, "moved", 2);
    await pass(1);
    regain("one");
    await pass(2);
    expect(one.commands).toEqual(["fence moved 1"]);
  });

  it("P14: a later copy that could never be started does not take the place of one that runs", async () => {
    const { begin, pass, told } = await world([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    starting(two, "moved", 2);
    startFails(two, "moved");
    await pass(1);
    expect(await told()).toEqual(["moved one running 1"]);
    expect([one.commands, two.commands]).toEqual([[], ["fence moved 2"]]);
  });

  it("P6: a node that had a copy which ended is not asked for that incarnation again", async () => {
    const { begin, pass, command, told } = await world([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    starting(two, "moved", 2);
    two.speaker.state("instance.stopped", { instanceId: "moved", restarts: 0, reason: "outranked" });
    await pass(1);
    const moving = command("ctl.instance.relocate", { instanceId: "moved", nodeId: "two" });
    await pass(1);
    await moving;
    expect(await told()).toEqual(["moved two running 3"]);
  });

  it("P14: what a life of a node left behind counts less than an earlier copy that came back", async () => {
    const { begin, lose, pass, told } = await world([]);
    const two = begin("two");
    running(two, "moved", 2);
    await pass(1);
    lose("two");
    await pass(5);
    // It was away, and comes back with what it ran before.
    running(begin("one"), "moved", 1);
    await pass(1);
    begin("two");
    await pass(3);
    expect(await told()).toEqual(["moved one running 1"]);
  });

  it("P6: a stop stays one although the node that carried it out begins a new life", async () => {
    const { begin, lose, pass, command, told } = await world([]);
    running(begin("one"), "moved", 1);
    await pass(1);
    lose("one");
    begin("two");
    await pass(6);
    expect(await told()).toEqual(["moved two running 2"]);
    const stopping = command("ctl.instance.stop", { instanceId: "moved", commandId: "c2" });
    await pass(1);
    await stopping;
    begin("two");
    await pass(3);
    expect(await told()).toEqual([]);
  });

  it("what was lost is not brought back where an earlier copy of it lives, which would refuse it", async () => {
    const { begin, lose, pass, told } = await world([]);
    const two = begin("two");
    const ids = ["a", "b", "c", "d", "e", "f"];
    for (const id of ids) running(two, id, 2);
    await pass(1);
    lose("two");
    await pass(5);
    const one = begin("one");
    for (const id of ids) running(one, id, 1);
    await pass(2);
    begin("three");
    await pass(4);
    expect(one.commands.filter((text) => text.startsWith("start"))).toEqual([]);
    expect(await told()).toEqual(ids.map((id) => `${id} three running 3`));
  });

  it("what was lost is brought back although a later copy of it could never be started", async () => {
    const { begin, lose, pass, told } = await world([]);
    running(begin("one"), "moved", 1);
    const two = begin("two");
    starting(two, "moved", 2);
    startFails(two, "moved");
    two.speaker.state("instance.stopped", { instanceId: "moved", restarts: 0, reason: "outranked" });
    await pass(1);
    lose("one");
    begin("one");
    await pass(3);
    expect(await told()).toEqual([expect.stringMatching(/^moved (?:one|two) running 3$/)]);
  });

  it("what the control plane that leads never heard of is told to it by one that did, and brought back", async () => {
    const { begin, lose, pass, told, first, plane } = await world([]);
    begin("two");
    await pass(1);
    plane("second");
    await pass(6);
    first.cutOff();
    running(begin("one"), "moved", 1);
    await pass(1);
    lose("one");
    begin("one");
    first.back();
    await pass(2);
    expect(await told()).toEqual([expect.stringMatching(/^moved (?:one|two) running 2$/)]);
  });

  it("P6: what was stopped while the control plane that leads was off the bus is not brought back by it", async () => {
    const { begin, lose, pass, command, told, first, plane } = await world([]);
    running(begin("one"), "kept", 1);
    begin("two");
    plane("second");
    await pass(6);
    first.cutOff();
    await pass(2);
    const stopping = command("ctl.instance.stop", { instanceId: "kept", commandId: "c2" });
    await pass(1);
    await stopping;
    lose("one");
    begin("one");
    await pass(1);
    first.back();
    await pass(4);
    expect(await told()).toEqual([]);
  });

  it("P6: a command that comes late to another control plane has no second effect", async () => {
    const { begin, pass, command, told, plane } = await world([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "kept", 1);
    plane("second");
    plane("third");
    await pass(2);
    const stopping = command("ctl.instance.stop", { instanceId: "kept", commandId: "c2" });
    await pass(1);
    await stopping;
    running(two, "kept", 2, { commandId: "c3", createdAt: "2023-11-15T00:00:00.000Z" });
    await pass(1);
    // One of the three gets each of them, by chance.
    for (let time = 0; time < 12; time += 1) {
      const late = command("ctl.instance.stop", { instanceId: "kept", commandId: "c2" });
      await pass(0.2);
      expect(await late).toEqual(await stopping);
      const other = command("ctl.instance.restart", { instanceId: "kept", commandId: "c2" });
      const refusal = expect(other).rejects.toThrow("commandId c2 was used before, for another command");
      await pass(0.2);
      await refusal;
    }
    expect(two.commands).toEqual([]);
    expect(await told()).toEqual(["kept two running 2"]);
  });

  it("P6: an instance that was started anew lives, be the stopped one before it of a later incarnation", async () => {
    const { begin, pass, command, told } = await world([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "kept", 2);
    await pass(1);
    const stopping = command("ctl.instance.stop", { instanceId: "kept", commandId: "c2" });
    await pass(1);
    await stopping;
    running(two, "kept", 1, { commandId: "c3", createdAt: "2030-01-01T00:00:00.000Z" });
    await pass(2);
    expect(await told()).toEqual(["kept two running 1"]);
    expect(two.commands).toEqual([]);
    begin("two");
    await pass(2);
    expect(await told()).toEqual([expect.stringMatching(/^kept (?:one|two) running 3$/)]);
  });

  it("P6: of two instances under one id, of which a split kept the first from being ended, the one that was started later lives", async () => {
    const { begin, pass } = await world([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "again", 4);
    running(two, "again", 4, { commandId: "c2", createdAt: "2023-11-01T00:00:00.000Z" });
    running(one, "twice", 5);
    running(two, "twice", 2, { commandId: "c3", createdAt: "2023-11-01T00:00:00.000Z" });
    await pass(1);
    expect(one.commands).toEqual(["fence again 4", "fence twice 5"]);
    expect(two.commands).toEqual([]);
  });

  it("P6: an instance that is started anew lives, be the clock of the node ahead that stopped the one before it", async () => {
    const { begin, pass, command, told } = await world([]);
    const one = begin("one", 5_000);
    running(one, "again", 1, { commandId: "c1", createdAt: "2023-11-14T22:13:24.000Z" });
    const reason = "it was told to";
    one.speaker.state("instance.stopped", { instanceId: "again", restarts: 0, reason }, "stop-1");
    begin("two");
    one.speaker.state("node.draining", {});
    await pass(1);
    await command("ctl.instance.start", { module: { digest }, instanceId: "again" });
    await pass(3);
    expect(await told()).toEqual(["again two running 2"]);
  });

  it("P2: a control plane that begins is told what is known of nodes that are away, and the one that knew may end", async () => {
    const { begin, lose, pass, told, plane } = await world([]);
    const one = begin("one");
    // More than fits one message.
    const ids = Array.from({ length: 950 }, (_, index) => `kept-${index}`);
    for (const id of ids) running(one, id, 1);
    await pass(1);
    lose("one");
    await pass(6);
    plane("second");
    await pass(2);
    await planes[0]?.stop();
    expect(new Set(await told())).toEqual(new Set(ids.map((id) => `${id} one unreachable 1`)));
    begin("two");
    await pass(4);
    expect((await told()).filter((text) => text.endsWith(" two running 2"))).toHaveLength(100);
  });

  it("P6 P12: what a node answered to have started is started nowhere else until it is heard, or that node is lost", async () => {
    const { begin, pass, told, two, taken } = await unheardStarts();
    const three = begin("three");
    await pass(0.5);
    expect(three.commands).toEqual([]);
    two.isUnheard = false;
    await pass(1);
    expect(await told()).toEqual(expect.arrayContaining(taken.map((id) => `${id} two running 2`)));
  });

  it("P6 P12: what a node answered to have started is started elsewhere, under a later incarnation, when that node's life ends unheard", async () => {
    const { begin, pass, told, ids, taken } = await unheardStarts();
    begin("two");
    await pass(2);
    const listed = await told();
    expect(listed).toHaveLength(ids.length);
    for (const id of taken)
      expect(listed).toContainEqual(expect.stringMatching(new RegExp(`^${id} (?:one|two) running 3$`)));
  });

  it("P6 P12: a node that did not answer may run what it was asked to, however long ago that was", async () => {
    const { begin, lose, regain, pass, told } = await world([]);
    running(begin("one"), "moved", 1);
    const two = begin("two");
    await pass(1);
    lose("one");
    await pass(1);
    lose("two");
    two.isUnheard = true;
    running(two, "moved", 2);
    await pass(2);
    regain("one");
    await pass(3);
    expect(await told()).toEqual(["moved one running 1"]);
    lose("one");
    begin("three");
    await pass(5);
    expect(await told()).toEqual(["moved three running 3"]);
  });

  it("what was lost is brought back as soon as a node that was drained takes work again", async () => {
    const { begin, lose, pass, told } = await world([]);
    running(begin("one"), "moved", 1);
    const two = begin("two");
    two.speaker.state("node.draining", {});
    await pass(1);
    lose("one");
    await pass(6);
    expect(await told()).toEqual(["moved one unreachable 1"]);
    two.speaker.state("node.resumed", {});
    await pass(1);
    expect(await told()).toEqual(["moved two running 2"]);
  });

  it("what every node has refused for good is offered again ten seconds later, although nothing else happens", async () => {
    const { begin, lose, pass, told } = await world([]);
    running(begin("one"), "moved", 1);
    const two = begin("two");
    two.refuse = () => new Failure("INVALID_REQUEST", "not here", { retry: "never" });
    await pass(1);
    lose("one");
    await pass(6);
    expect(two.commands).toEqual(["start moved"]);
    two.refuse = () => undefined;
    await pass(6);
    expect(await told()).toEqual(["moved two running 2"]);
  });
});
