import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import type { Bus, BusMessage } from "../../src/bus/bus.ts";
import { seededChance } from "../../src/chance.ts";
import type { Clock } from "../../src/clock.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { type FakeNode, startFakeNode } from "../support/fake-node.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const lattice = "default";
const log = pino({ level: "silent" });
const bytes = new Uint8Array(100).fill(7);
const planes: ControlPlane[] = [];

afterEach(() => planes.splice(0).forEach((plane) => void plane.stop()));

/** A node whose process can be stopped, as SIGSTOP does: what comes meanwhile waits for it. */
interface StoppableNode extends FakeNode {
  readonly nodeId: string;
  isStopped: boolean;
  /** How many messages wait for it. */
  holds(): number;
  /** What was held back is dropped, as it is with a connection that is lost. */
  drop(): void;
  goOn(): void;
}

/** What calls back of a bus or a clock can be held back. */
function stoppable<Caller extends Bus | Clock>(caller: Caller) {
  let held: (() => void)[] = [];
  const passOn = (act: () => void) => (self.isStopped ? void held.push(act) : act());
  const changes =
    "subscribe" in caller
      ? {
          subscribe: (filter: string, listener: (message: BusMessage) => void, options = {}) =>
            caller.subscribe(filter, (message) => passOn(() => listener(message)), options),
        }
      : { setTimeout: (act: () => void, ms: number) => caller.setTimeout(() => passOn(act), ms) };
  const self = {
    of: Object.assign(Object.create(caller) as Caller, changes),
    isStopped: false,
    holds: () => held.length,
    drop: () => void (held = []),
    goOn() {
      self.isStopped = false;
      for (const act of held.splice(0)) act();
    },
  };
  return self;
}

function world() {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const client = server.connect();
  const nodes: StoppableNode[] = [];
  const node = (nodeId: string) => {
    const bus = stoppable(server.connect());
    const fake: StoppableNode = Object.assign(startFakeNode({ bus: bus.of, clock, nodeId }), {
      nodeId,
      isStopped: false,
      holds: bus.holds,
      drop: bus.drop,
      goOn() {
        fake.isStopped = false;
        bus.goOn();
        fake.heartbeat();
      },
    });
    Object.defineProperty(fake, "isStopped", {
      get: () => bus.isStopped,
      set(isStopped: boolean) {
        bus.isStopped = isStopped;
      },
    });
    nodes.push(fake);
    return fake;
  };
  /** Seconds pass, and whoever runs says that it is there. */
  const pass = async (seconds: number) => {
    for (let tenth = 0; tenth < seconds * 10; tenth += 1) {
      await clock.advance(100);
      if (tenth % 10 === 0) for (const one of nodes) if (!one.isStopped) one.heartbeat();
    }
  };
  /** Its process can be stopped, too: its timers wait as well, and are the first to go on. */
  const plane = async (controlPlaneId = "cp") => {
    const bus = stoppable(server.connect());
    const timers = stoppable(clock);
    const options = { lattice, controlPlaneId, bus: bus.of, clock: timers.of, chance: seededChance(1), log };
    planes.push(startControlPlane(options));
    await pass(1);
    return {
      stop: () => void (timers.isStopped = bus.isStopped = true),
      goOn() {
        timers.goOn();
        bus.goOn();
      },
    };
  };
  const command = <Name extends Extract<SubjectName, `ctl.${string}`>>(
    name: Name,
    question: QuestionOf<Name>,
  ) => ask(client, name, { lattice }, question, { timeoutMs: 60_000 });
  const start = async (instanceId: string) => {
    const module = { bytes };
    const starting = command("ctl.instance.start", { module, instanceId, onNodeLoss: "relocate" });
    await pass(1);
    const { instances } = await starting;
    const runs = nodes.find(({ nodeId }) => nodeId === instances[0]?.nodeId);
    if (runs === undefined) throw new Error("it runs nowhere");
    return { runs, others: nodes.filter((one) => one !== runs) };
  };
  const runningOn = (instanceId: string) =>
    nodes
      .flatMap(({ nodeId, speaker }) => {
        const copy = speaker.own().instances.get(instanceId);
        return copy?.status === "running" ? [`${nodeId} ${copy.spec.incarnation}`] : [];
      })
      .toSorted();
  return { node, plane, pass, command, start, runningOn };
}

describe("R8.2 P12: losses while something is under way", () => {
  it("a node that is lost while it is asked to run what another left is not waited for", async () => {
    const { node, plane, pass, start, runningOn } = world();
    ["one", "two", "three"].forEach(node);
    await plane();
    const { runs, others } = await start("moved");
    for (const one of [runs, ...others]) one.isStopped = true;
    for (let turn = 0; turn < 8; turn += 1) {
      for (const one of others) one.heartbeat();
      await pass(0.5);
    }
    // Whoever was asked is lost with the question; the other one runs on.
    const [other, ...more] = others.filter((one) => one.holds() === 0);
    expect(more).toEqual([]);
    other?.goOn();
    await pass(6);
    // It may run on the one that did not answer, and must outrank that one, too.
    expect(runningOn("moved")).toEqual([`${runs.nodeId} 1`, `${other?.nodeId} 3`].toSorted());
    for (const one of [runs, ...others]) one.goOn();
    await pass(5);
    expect(runningOn("moved")).toEqual([`${other?.nodeId} 3`]);
  });

  it("a question that went with a connection is put again, and has one effect", async () => {
    const { node, plane, pass, command, start } = world();
    ["one", "two"].forEach(node);
    await plane();
    const { runs } = await start("here");
    const capabilityId = "store";
    const assignment = { capabilityId, providerType: "kv", permissions: ["kv:read"] };
    runs.isStopped = true;
    const assigning = command("ctl.capability.assign", { instanceId: "here", assignment, commandId: "c1" });
    await pass(0.5);
    runs.drop();
    runs.isStopped = false;
    let isAnswered = false;
    void assigning.then(() => (isAnswered = true));
    await pass(3);
    expect(isAnswered).toBe(true);
    expect(runs.speaker.own().instances.get("here")?.assignments.has(capabilityId)).toBe(true);
  });

  it("a command of which nobody knows what became of it is carried out when it is repeated", async () => {
    const { node, plane, pass, command, start } = world();
    ["one", "two"].forEach(node);
    await plane();
    const { runs } = await start("here");
    const assignment = { capabilityId: "store", providerType: "kv", permissions: ["kv:read"] };
    const assign = () =>
      command("ctl.capability.assign", { instanceId: "here", assignment, commandId: "c6" }).then(
        () => "done",
        (error: { code: string }) => error.code,
      );
    runs.isStopped = true;
    const first = assign();
    for (let turn = 0; turn < 6; turn += 1) {
      runs.heartbeat();
      await pass(1);
    }
    runs.drop();
    runs.goOn();
    const second = assign();
    await pass(1);
    expect([await first, await second]).toEqual(["TIMEOUT", "done"]);
  });

  it("a stop that was acknowledged for a copy which another one replaced ends that one too", async () => {
    const { node, plane, pass, start, runningOn } = world();
    ["one", "two"].forEach(node);
    await plane();
    const { runs, others } = await start("moved");
    runs.isStopped = true;
    await pass(5);
    expect(runningOn("moved")).toContain(`${others[0]?.nodeId} 2`);
    // It comes back, and carries out what it was told before it was lost.
    runs.speaker.state(
      "instance.stopped",
      { instanceId: "moved", restarts: 0, reason: "it was told to" },
      "c2",
    );
    runs.goOn();
    await pass(2);
    expect(runningOn("moved")).toEqual([]);
  });

  it("what was stopped where it had been moved to ends on the node that comes back with it", async () => {
    const { node, plane, pass, command, start, runningOn } = world();
    ["one", "two"].forEach(node);
    await plane();
    const { runs } = await start("moved");
    runs.isStopped = true;
    await pass(5);
    const stopping = command("ctl.instance.stop", { instanceId: "moved", commandId: "c3" });
    await pass(1);
    await stopping;
    // Its first node, still away, is not where it counts, and nobody brings it back.
    await pass(2);
    expect((await command("ctl.instance.list", {})).instances).toEqual([]);
    expect(runningOn("moved")).toEqual([`${runs.nodeId} 1`]);
    runs.goOn();
    await pass(2);
    expect(runningOn("moved")).toEqual([]);
  });

  it("a stop is not acknowledged by a node that was lost meanwhile", async () => {
    const { node, plane, pass, command, start, runningOn } = world();
    ["one", "two"].forEach(node);
    await plane();
    const { runs, others } = await start("moved");
    runs.isStopped = true;
    const stopping = command("ctl.instance.stop", { instanceId: "moved" }).then(
      () => "done",
      (error: { code: string }) => error.code,
    );
    await pass(5);
    runs.goOn();
    await pass(2);
    expect([await stopping, runningOn("moved")]).toEqual(["NODE_UNAVAILABLE", [`${others[0]?.nodeId} 2`]]);
  });

  it("a control plane that begins after a node died does not keep the one that knew it from acting", async () => {
    const { node, plane, pass, start, runningOn } = world();
    ["one", "two"].forEach(node);
    await plane("cp-2");
    const { runs, others } = await start("moved");
    runs.isStopped = true;
    await plane("cp-1");
    await pass(5);
    expect(runningOn("moved")).toContain(`${others[0]?.nodeId} 2`);
  });

  it("R11.4: a control plane that slept does not carry out again what another one did meanwhile", async () => {
    const { node, plane, pass, command, runningOn } = world();
    ["one", "two"].forEach(node);
    const sleeper = await plane("cp-1");
    sleeper.stop();
    const question = { module: { bytes }, instanceId: "x", commandId: "c4" };
    const commands = [command("ctl.instance.start", question)];
    await plane("cp-2");
    // Those that the sleeper is handed wait for it; the other one does not know of them.
    for (let turn = 0; turn < 6; turn += 1) {
      commands.push(
        command("ctl.instance.start", { module: { bytes }, instanceId: "before", commandId: "c5" }),
      );
      await pass(0.5);
    }
    for (let turn = 0; turn < 6; turn += 1) {
      commands.push(command("ctl.instance.start", question));
      await pass(0.5);
    }
    const ran = runningOn("x");
    expect(ran).toHaveLength(1);
    sleeper.goOn();
    await pass(3);
    expect(runningOn("x")).toEqual(ran);
    await Promise.all(commands);
  });
});
