import pino from "pino";
import { describe, expect, onTestFinished, test } from "vitest";
import { startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import { type RequestOf, serve } from "../../src/bus/serve.ts";
import { seededChance } from "../../src/chance.ts";
import { moduleCopyLimits } from "../../src/limits.ts";
import { filterFor } from "../../src/protocol/addresses.ts";
import { decode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { startFakeNode } from "../support/fake-node.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const lattice = "default";
const digest = `sha256:${"ab".repeat(32)}`;
const pinned = `registry.example.com/guests/echo@sha256:${"cd".repeat(32)}`;

/** A control plane, and nodes that do what they are told of modules. */
async function world() {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const client = server.connect();
  const pulled: { node: string; request: RequestOf<"node.module.pull"> }[] = [];
  /** What nodes were asked to start, as heard on the bus. */
  const started: { holders: string[]; moduleHash: string; moduleSource: string | undefined }[] = [];
  server.connect().subscribe(filterFor("node.instance.start", { lattice }), ({ data }) => {
    const { holders, template } = decode(data).value as RequestOf<"node.instance.start">;
    started.push({ holders, moduleHash: template.moduleHash, moduleSource: template.moduleSource });
  });
  const resolved: string[] = [];
  const node = (
    nodeId: string,
    {
      labels = {},
      resolve = () => undefined,
      pull = () => undefined,
    }: {
      labels?: Record<string, string>;
      resolve?: () => Failure | undefined;
      pull?: () => Failure | undefined;
    } = {},
  ) => {
    const bus = server.connect();
    const fake = startFakeNode({ bus, clock, nodeId, labels });
    const here = { lattice, node: nodeId };
    serve(bus, clock, "node.module.pull", here, (request) => {
      pulled.push({ node: nodeId, request });
      const failure = pull();
      if (failure !== undefined) throw failure;
      fake.speaker.state("module.stored", { digest: request.digest, sizeBytes: 7 });
      return { sizeBytes: 7 };
    });
    serve(bus, clock, "node.module.resolve", here, () => {
      resolved.push(nodeId);
      const failure = resolve();
      if (failure !== undefined) throw failure;
      return { digest, sizeBytes: 7, pinned };
    });
    return Object.assign(fake, {
      holds: () => fake.speaker.state("module.stored", { digest, sizeBytes: 7 }),
    });
  };
  const plane = startControlPlane({
    lattice,
    controlPlaneId: "cp",
    bus: server.connect(),
    clock,
    chance: seededChance(1),
    log: pino({ level: "silent" }),
  });
  onTestFinished(() => void plane.stop());
  await clock.advance(1_000);
  await plane.ready;
  const command = <Name extends Extract<SubjectName, `ctl.${string}`>>(
    name: Name,
    question: QuestionOf<Name>,
  ) => ask(client, name, { lattice }, question, { timeoutMs: 60_000 });
  const settle = () => clock.advance(2 * moduleCopyLimits.gatherMs);
  return { clock, node, command, settle, pulled, started, resolved };
}

describe("copies of modules", () => {
  test("P12, R8.2: a module of instances that are to be relocated gets a second holder, others do not", async () => {
    const { node, command, settle, pulled } = await world();
    const one = node("one");
    await settle();
    one.holds();
    await settle();
    expect(pulled).toEqual([]);
    await command("ctl.instance.start", { module: { digest }, instanceId: "stays" });
    node("two");
    await settle();
    expect(pulled).toEqual([]);
    const requires = {};
    await command("ctl.instance.start", {
      module: { digest },
      instanceId: "moves",
      onNodeLoss: "relocate",
      requires,
    });
    await settle();
    expect(pulled).toEqual([{ node: "two", request: { digest, holders: ["one"] } }]);
  });

  test("what is stored for later gets one too, and is not copied again after an eviction", async () => {
    const { clock, node, settle, pulled } = await world();
    const [one, two] = [node("one"), node("two")];
    await settle();
    one.holds();
    await settle();
    expect(pulled.map((copy) => copy.node)).toEqual(["two"]);
    two.speaker.state("module.evicted", { digest });
    await clock.advance(moduleCopyLimits.againMs + 1_000);
    expect(pulled).toHaveLength(1);
  });

  test("a copy that failed is made again after a while, and no sooner", async () => {
    const { clock, node, settle, pulled } = await world();
    let full = true;
    const one = node("one");
    const two = node("two", {
      pull: () => (full ? new Failure("RESOURCE_EXHAUSTED", "the disk is full") : undefined),
    });
    await settle();
    one.holds();
    await settle();
    await settle();
    expect(pulled).toHaveLength(1);
    full = false;
    for (let passed = 0; passed <= moduleCopyLimits.againMs + 1_000; passed += 1_000) {
      await clock.advance(1_000);
      one.heartbeat();
      two.heartbeat();
    }
    expect(pulled).toHaveLength(2);
  });
});

describe("where nodes fetch modules", () => {
  test("R11.4: holders in the node's own zone come first, and the node itself is none", async () => {
    const { node, command, settle, started } = await world();
    const zones = { "eu-1": "eu", "eu-2": "eu", "us-1": "us", "us-2": "us" };
    for (const [nodeId, zone] of Object.entries(zones))
      node(nodeId, { labels: { zone, id: nodeId } }).holds();
    await settle();
    for (const id of Object.keys(zones))
      await command("ctl.instance.start", { module: { digest }, requires: { id } });
    expect(started.map(({ holders }) => holders[0])).toEqual(["eu-2", "eu-1", "us-2", "us-1"]);
    expect(started.map(({ holders }) => holders.length)).toEqual([3, 3, 3, 3]);
  });

  test("a registry is asked once, and every copy is of the module that it meant then", async () => {
    const { node, command, settle, started, resolved } = await world();
    const nodes = [node("one"), node("two"), node("three")];
    await settle();
    const oci = "registry.example.com/guests/echo:v1";
    await command("ctl.instance.start", { module: { oci }, name: "echo", count: 6 });
    expect(resolved).toHaveLength(1);
    const copy = { holders: [], moduleHash: digest, moduleSource: pinned };
    expect(started).toEqual(nodes.map(() => copy));
  });

  test("another node is asked where one is not let in, and none where no node could help", async () => {
    const { node, command, settle, resolved } = await world();
    const denied = new Failure("PERMISSION_DENIED", "not let in", { retry: "elsewhere" });
    node("a", { resolve: () => denied });
    node("b", { resolve: () => denied });
    node("c", { resolve: () => new Failure("INVALID_MODULE", "it is an image") });
    node("d");
    await settle();
    const oci = "registry.example.com/guests/echo:v1";
    await expect(command("ctl.instance.start", { module: { oci } })).rejects.toMatchObject({
      code: "INVALID_MODULE",
      details: { nodes: [{ nodeId: "a" }, { nodeId: "b" }, { nodeId: "c" }] },
    });
    expect(resolved).toEqual(["a", "b", "c"]);
  });

  test("a repeated command goes on with the module that its first copies have", async () => {
    const { node, command, settle, started, resolved } = await world();
    const one = node("one");
    await settle();
    const oci = "registry.example.com/guests/echo:v1";
    const start = { module: { oci }, name: "echo", count: 2, commandId: "c1" };
    one.refuse = (instanceId) =>
      instanceId.endsWith("x") ? undefined : new Failure("RESOURCE_EXHAUSTED", "full", { retry: "never" });
    await expect(command("ctl.instance.start", start)).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    one.refuse = () => undefined;
    await command("ctl.instance.start", { ...start, commandId: "c2" });
    await command("ctl.instance.start", { ...start, commandId: "c2" });
    expect([resolved.length, new Set(started.map((copy) => copy.moduleHash))]).toEqual([
      2,
      new Set([digest]),
    ]);
  });
});
