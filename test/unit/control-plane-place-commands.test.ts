import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import { seededChance } from "../../src/chance.ts";
import { digestOf } from "../../src/client/put-module.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { type FakeNode, startFakeNode } from "../support/fake-node.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const lattice = "default";
const log = pino({ level: "silent" });
const module = { bytes: new Uint8Array([1]) };
const planes: ControlPlane[] = [];

afterEach(() => planes.splice(0).forEach((plane) => void plane.stop()));

type Start = Omit<QuestionOf<"ctl.instance.start">, "module">;

/** A control plane and nodes on it, each named with its zone. */
async function world(zones: Record<string, string | undefined>, expectNodes?: string[]) {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const client = server.connect();
  const nodes = new Map<string, FakeNode & { drop(): void }>();
  const join = (nodeId: string, zone?: string) => {
    const bus = server.connect();
    const labels: Record<string, string> = zone === undefined ? {} : { zone };
    const fake = startFakeNode({ bus, clock, nodeId, labels, instancesMax: 1_000 });
    const drop = () => {
      nodes.delete(nodeId);
      server.disconnect(bus);
    };
    nodes.set(nodeId, Object.assign(fake, { drop }));
  };
  for (const [nodeId, zone] of Object.entries(zones)) join(nodeId, zone);
  const pass = async (ms: number) => {
    for (let past = 0; past < ms; past += 500) {
      await clock.advance(500);
      for (const one of nodes.values()) one.heartbeat();
    }
  };
  const plane = startControlPlane({
    lattice,
    controlPlaneId: "cp",
    bus: server.connect(),
    clock,
    chance: seededChance(1),
    log,
    expectNodes,
  });
  planes.push(plane);
  await pass(1_000);
  const command = async <Name extends Extract<SubjectName, `ctl.${string}`>>(
    name: Name,
    question: QuestionOf<Name>,
  ) => {
    const answer = ask(client, name, { lattice }, question, { timeoutMs: 60_000 });
    answer.catch(() => undefined);
    await pass(1_000);
    return answer;
  };
  const start = (request: Start) => command("ctl.instance.start", { module, ...request });
  const refusal = (request: Start) =>
    start(request).then(
      () => undefined,
      (error: unknown) => asFailure(error),
    );
  const counts = () =>
    Object.fromEntries(
      [...nodes].map(([nodeId, { speaker }]) => [
        nodeId,
        [...speaker.own().instances.values()].filter(({ status }) => status === "running").length,
      ]),
    );
  const asked = () => [...nodes.values()].flatMap((one) => one.commands);
  return { clock, plane, nodes, join, pass, command, start, refusal, counts, asked };
}

const kv = { provider: "kv", providerType: "kv", backend: "memory", version: "1" };
const grant = { capabilityId: "store", providerType: "kv", permissions: ["kv:read"] };

describe("R11: a start that says where", () => {
  it("1,000 copies by one command come out even over 5 nodes, and are scaled and started evenly after that", async () => {
    const { start, command, counts } = await world({ a: "eu", b: "eu", c: "eu", d: "us", e: "us" });
    await start({ name: "many", count: 1_000 });
    expect(counts()).toEqual({ a: 200, b: 200, c: 200, d: 200, e: 200 });
    await start({ name: "zoned", count: 6, spread: "zone" });
    expect(counts()).toEqual({ a: 201, b: 201, c: 201, d: 202, e: 201 });
    await command("ctl.instance.scale", { name: "zoned", count: 12 });
    expect(counts()).toEqual({ a: 202, b: 202, c: 202, d: 203, e: 203 });
  });

  it("R12.1: goes to the host of the provider that it needs, else to its zone", async () => {
    const { start, nodes, counts } = await world({ a: "us", b: "eu", c: "eu" });
    nodes.get("c")?.speaker.state("provider.available", kv);
    await start({ name: "one", capabilities: [grant] });
    expect(counts()).toEqual({ a: 0, b: 0, c: 1 });
    nodes.get("c")?.speaker.state("node.draining", {});
    await start({ name: "two", capabilities: [grant] });
    expect(counts()).toEqual({ a: 0, b: 1, c: 1 });
  });

  it("P18: pinned to a node it runs there or nowhere, and the refusal is that node's own", async () => {
    const { start, refusal, nodes, counts } = await world({ a: undefined, b: undefined });
    await start({ name: "pinned", count: 3, nodeId: "b" });
    expect(counts()).toEqual({ a: 0, b: 3 });
    expect(await refusal({ nodeId: "nowhere" })).toMatchObject({
      code: "NODE_NOT_FOUND",
      details: { nodeId: "nowhere" },
    });
    nodes.get("b")?.speaker.state("node.draining", {});
    expect(await refusal({ nodeId: "b" })).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      message: "no node can take 1 of 1 instances: b is draining",
      details: { nodes: [{ nodeId: "b", reason: "is draining" }] },
    });
    expect(counts()).toEqual({ a: 0, b: 3 });
  });

  it("R1.4: what is pinned is neither moved nor started elsewhere, and scaled where it is", async () => {
    const { start, command, nodes, counts, pass } = await world({ a: undefined, b: undefined });
    const { warning } = await start({ name: "pinned", count: 2, nodeId: "b", onNodeLoss: "relocate" });
    expect(warning).toContain("is not relocated");
    await command("ctl.instance.scale", { name: "pinned", count: 3 });
    expect(counts()).toEqual({ a: 0, b: 3 });
    const { instances } = await command("ctl.instance.list", {});
    const move = { instanceId: instances[0]?.instanceId ?? "", nodeId: "a" };
    await expect(command("ctl.instance.relocate", move)).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      message: expect.stringContaining("a is not b, the only one that may"),
    });
    nodes.get("b")?.drop();
    await pass(2 * controlPlaneLimits.lostAfterMs);
    expect(counts()).toEqual({ a: 0 });
    const listed = await command("ctl.instance.list", {});
    expect(listed.instances.map(({ nodeId, status }) => `${nodeId} ${status}`)).toEqual(
      Array(3).fill("b unreachable"),
    );
  });

  it("P12: what a lost node leaves is spread over the label as the rest was", async () => {
    const { start, nodes, counts, pass } = await world({ a: "eu", b: "us", c: "us", d: "asia" });
    await start({ name: "zoned", count: 12, spread: "zone", onNodeLoss: "relocate" });
    expect(counts()).toEqual({ a: 4, b: 2, c: 2, d: 4 });
    nodes.get("d")?.drop();
    await pass(2 * controlPlaneLimits.lostAfterMs);
    const { a = 0, b = 0, c = 0 } = counts();
    expect([a, b + c]).toEqual([6, 6]);
  });

  it("P18: a label that no node has is refused with those that there are, and nothing is started", async () => {
    const { refusal, asked } = await world({ a: "eu", b: undefined });
    expect(await refusal({ count: 2, spread: "rack" })).toMatchObject({
      code: "INVALID_REQUEST",
      message: `no node has the label "rack" to spread copies over`,
      fix: "Label nodes with `wasmatrix label`, or spread over one that there is: zone.",
    });
    expect(asked()).toEqual([]);
  });

  it("a node that does not run the module's kind of guest is not asked", async () => {
    const { start, refusal, nodes } = await world({ a: undefined });
    const admitted = { digest: digestOf(module.bytes), guestKind: "component", sizeBytes: 1 };
    nodes.get("a")?.speaker.state("module.admitted", admitted);
    expect(await refusal({})).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      message: "no node can take 1 of 1 instances: a runs no component guests, only wapc",
    });
    nodes.get("a")?.speaker.state("module.admitted", { ...admitted, guestKind: "wapc" });
    expect((await start({})).instances).toHaveLength(1);
  });
});

describe("R13: a dry run", () => {
  it("says where copies would go and why, and starts and stores nothing", async () => {
    const { start, nodes, asked, command } = await world({ a: "eu", b: "us", c: "us" });
    nodes.get("b")?.speaker.state("provider.available", kv);
    nodes.get("c")?.speaker.state("node.draining", {});
    const plan = { name: "x", count: 3, spread: "zone", capabilities: [grant], commandId: "c1" };
    expect(await start({ ...plan, dryRun: true })).toEqual({
      ok: true,
      instances: [],
      placement: [
        {
          nodeId: "b",
          rank: 1,
          reasons: [
            "0 of the same name with zone=us",
            "0 of the same name",
            "hosts kv",
            "1000 of 1000 places free",
          ],
          share: 2,
        },
        {
          nodeId: "a",
          rank: 2,
          reasons: [
            "0 of the same name with zone=eu",
            "0 of the same name",
            "kv is elsewhere",
            "1000 of 1000 places free",
          ],
          share: 1,
        },
      ],
      unfit: [{ nodeId: "c", reason: "is draining" }],
    });
    expect([asked(), (await command("ctl.module.list", {})).modules]).toEqual([[], []]);
    // The same command without it is another one, also under the same id.
    expect((await start(plan)).instances.map(({ nodeId }) => nodeId).toSorted()).toEqual(["a", "b", "b"]);
  });

  it("counts the copies without a place, and names each node that is not the pinned one in no list", async () => {
    const { start, command } = await world({ a: undefined, b: undefined });
    await start({ name: "full", count: 1_000, nodeId: "b" });
    expect(await start({ count: 5, nodeId: "b", dryRun: true })).toEqual({
      ok: true,
      instances: [],
      placement: [],
      unfit: [{ nodeId: "b", reason: "is full: 1000 of 1000 instances" }],
      withoutPlace: 5,
    });
    const digest = `sha256:${"0".repeat(64)}`;
    const unknown = await command("ctl.instance.start", { module: { digest }, dryRun: true });
    expect(unknown).toMatchObject({
      ok: true,
      warning: expect.stringContaining("no node in reach holds module"),
    });
  });
});

describe("R3.5: nodes that are expected", () => {
  it("the view is not complete before each was heard, and is as soon as it was", async () => {
    const { command, join, pass } = await world({ n1: undefined }, ["n1", "n2"]);
    expect((await command("ctl.node.list", {})).view).toMatchObject({
      complete: false,
      gaps: ["n2"],
      neverHeard: ["n2"],
    });
    join("n2");
    await pass(1_000);
    const { view } = await command("ctl.node.list", {});
    expect(view).toEqual({ complete: true, gaps: [], asOf: view.asOf });
  });

  it("one that never comes stays named, and commands do not wait for it for ever", async () => {
    const { plane, command, start, pass } = await world({ n1: undefined }, ["n1", "n2"]);
    await pass(controlPlaneLimits.rebuildMsMax);
    await plane.ready;
    expect((await start({ name: "x" })).instances).toHaveLength(1);
    expect((await command("ctl.node.list", {})).view).toMatchObject({ complete: false, neverHeard: ["n2"] });
  });
});
