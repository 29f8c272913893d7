import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { seededChance } from "../../src/chance.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { type FakeNode, startFakeNode } from "../support/fake-node.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const lattice = "default";
const log = pino({ level: "silent" });
const bytes = new Uint8Array(1_000_000).fill(7);
const planes: ControlPlane[] = [];

afterEach(() => planes.splice(0).forEach((plane) => void plane.stop()));

function world() {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const client = server.connect();
  const planeBus = server.connect();
  const fakes: FakeNode[] = [];
  const node = (nodeId: string, options: { labels?: Record<string, string>; instancesMax?: number } = {}) => {
    const bus = server.connect();
    const fake = Object.assign(startFakeNode({ bus, clock, nodeId, ...options }), { bus });
    fakes.push(fake);
    return fake;
  };
  const plane = async (bus: Bus = planeBus, nodes: FakeNode[] = []) => {
    const started = startControlPlane({
      lattice,
      controlPlaneId: "cp",
      bus,
      clock,
      chance: seededChance(1),
      log,
    });
    planes.push(started);
    await clock.advance(600);
    for (const one of nodes) one.heartbeat();
    await started.ready;
    return started;
  };
  const command = <Name extends Extract<SubjectName, `ctl.${string}`>>(
    name: Name,
    question: QuestionOf<Name>,
  ) => ask(client, name, { lattice }, question, { timeoutMs: 60_000 }) as Promise<Record<string, unknown>>;
  const refusal = async <Name extends Extract<SubjectName, `ctl.${string}`>>(
    name: Name,
    question: QuestionOf<Name>,
  ) => {
    const outcome = command(name, question).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    // What is not known is looked for again a little later.
    await clock.advance(500);
    for (const one of fakes) one.heartbeat();
    const error = await outcome;
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).fix).toBeTypeOf("string");
    return error as Failure;
  };
  return { clock, server, planeBus, node, plane, command, refusal };
}

const idsOf = (answer: Record<string, unknown>) =>
  (answer["instances"] as { instanceId: string }[]).map((one) => one.instanceId);

describe("a control plane", () => {
  it("R3.1 P6: brings the module in pieces, spreads the copies evenly, and answers with what runs", async () => {
    const { node, plane, command } = world();
    const nodes = [node("one"), node("two")];
    await plane();
    const answer = await command("ctl.instance.start", {
      module: { bytes },
      name: "greeter",
      count: 4,
      commandId: "c1",
    });
    expect(answer["instances"]).toHaveLength(4);
    for (const one of nodes) {
      expect(one.commands.slice(0, 2)).toEqual(["put 524288", "put 475712"]);
      expect(one.speaker.own().instances.size).toBe(2);
    }
    const listed = await command("ctl.instance.list", { name: "greeter" });
    expect(listed["instances"]).toEqual(
      (answer["instances"] as { instanceId: string }[]).toSorted((a, b) =>
        a.instanceId < b.instanceId ? -1 : 1,
      ),
    );
    expect(listed["view"]).toMatchObject({ complete: true, gaps: [] });
  });

  it("gives a repeated command its first answer, also from another control plane", async () => {
    const { node, plane, server, command } = world();
    const one = node("one");
    const first = await plane();
    const start = { module: { bytes: new Uint8Array([1]) }, name: "greeter", count: 2, commandId: "c1" };
    const answers = await Promise.all([
      command("ctl.instance.start", start),
      command("ctl.instance.start", start),
    ]);
    expect(answers[0]).toEqual(answers[1]);
    await first.stop();
    await plane(server.connect());
    expect(idsOf(await command("ctl.instance.start", start))).toEqual(idsOf(answers[0]));
    expect(one.commands.filter((text) => text.startsWith("start"))).toHaveLength(1);
  });

  it("P6: what another control plane has revoked before it could say so is answered as done when it is repeated", async () => {
    const { node, plane, server, command, refusal } = world();
    node("one");
    const first = await plane();
    const store = { capabilityId: "store", providerType: "kv", permissions: ["kv:read"] };
    const module = { bytes: new Uint8Array([1]) };
    const ids = idsOf(await command("ctl.instance.start", { module, name: "shop", count: 2 }));
    const [instanceId = ""] = ids;
    await command("ctl.capability.assign", { instanceId, assignment: store });
    const revoke = { name: "shop", capabilityId: "store", commandId: "c2" };
    const answer = await command("ctl.capability.revoke", revoke);
    expect(answer["instances"]).toEqual([instanceId]);
    await first.stop();
    await plane(server.connect());
    expect(await command("ctl.capability.revoke", revoke)).toEqual(answer);
    const other = await refusal("ctl.capability.revoke", { ...revoke, commandId: "c3" });
    expect(other).toMatchObject({ code: "INVALID_REQUEST", details: { granted: [] } });
  });

  it("goes to the next node when one refuses", async () => {
    const { node, plane, command } = world();
    const [one, two] = [node("one"), node("two")];
    one.refuse = () => new Failure("RESOURCE_EXHAUSTED", "no memory left");
    await plane();
    await command("ctl.instance.start", { module: { bytes: new Uint8Array([1]) }, count: 2 });
    expect([one.speaker.own().instances.size, two.speaker.own().instances.size]).toEqual([0, 2]);
  });

  it("stops what was started when the rest cannot be started, and names each node's reason", async () => {
    const { node, plane, command, refusal } = world();
    const [one, two] = [node("one"), node("two")];
    two.refuse = () => new Failure("INVALID_MODULE", "no entry point", { fix: "Export one." });
    await plane();
    const failure = await refusal("ctl.instance.start", { module: { bytes: new Uint8Array([1]) }, count: 2 });
    expect(failure).toMatchObject({ code: "INVALID_MODULE", fix: "Export one." });
    expect(failure.details?.["stoppedAgain"]).toHaveLength(1);
    expect([...one.speaker.own().instances.values()].map(({ status }) => status)).toEqual(["stopped"]);
    expect((await command("ctl.instance.list", {}))["instances"]).toEqual([]);
  });

  it("P18: refuses with a code and what to do", async () => {
    const { node, plane, command, refusal } = world();
    await plane();
    const module = { bytes: new Uint8Array([1]) };
    expect((await refusal("ctl.instance.start", { module })).code).toBe("NODE_UNAVAILABLE");
    node("one", { labels: { zone: "eu" }, instancesMax: 2 });
    await command("ctl.instance.start", { module, name: "greeter", instanceId: "g-1" });
    expect((await refusal("ctl.instance.start", { module, instanceId: "g-1" })).code).toBe("INSTANCE_EXISTS");
    expect((await refusal("ctl.instance.start", { module, instanceId: "greeter" })).code).toBe(
      "INVALID_REQUEST",
    );
    expect((await refusal("ctl.instance.start", { module, name: "g-1" })).code).toBe("INVALID_REQUEST");
    expect((await refusal("ctl.instance.start", { module, requires: { zone: "us" } })).message).toContain(
      "one has zone=eu",
    );
    expect((await refusal("ctl.instance.start", { module, count: 5 })).code).toBe("RESOURCE_EXHAUSTED");
    const unheld = { digest: `sha256:${"a".repeat(64)}` };
    expect((await refusal("ctl.instance.start", { module: unheld })).code).toBe("MODULE_NOT_FOUND");
    const unknown = await refusal("ctl.instance.stop", { name: "greter" });
    expect(unknown).toMatchObject({ code: "INSTANCE_NOT_FOUND", details: { similar: ["greeter"] } });
    await command("ctl.instance.stop", { instanceId: "g-1" });
    const stopped = await refusal("ctl.instance.stop", { instanceId: "g-1" });
    expect(stopped.code).toBe("INSTANCE_UNAVAILABLE");
    expect(stopped.message).toContain("since 2023-11-14T");
  });

  it("P5: tells every grant, and that a granted provider is not there", async () => {
    const { node, plane, command, refusal } = world();
    node("one");
    await plane();
    await command("ctl.instance.start", { module: { bytes: new Uint8Array([1]) }, instanceId: "g-1" });
    const assignment = { capabilityId: "store", providerType: "kv", permissions: ["kv:read"] };
    const granted = await command("ctl.capability.assign", { instanceId: "g-1", assignment });
    expect(granted["instances"]).toEqual(["g-1"]);
    expect(granted["warning"]).toContain("provider kv is not known");
    const listed = await command("ctl.capability.list", {});
    expect(listed["assignments"]).toEqual([{ instanceId: "g-1", nodeId: "one", ...assignment, config: {} }]);
    expect((await refusal("ctl.capability.revoke", { instanceId: "g-1", capabilityId: "other" })).code).toBe(
      "INVALID_REQUEST",
    );
    await command("ctl.capability.revoke", { instanceId: "g-1", capabilityId: "store" });
    expect((await command("ctl.capability.list", {}))["assignments"]).toEqual([]);
  });

  it("R3.5 P2: knows after its own restart what it knew before, and says when that is complete", async () => {
    const { node, plane, server, clock, command } = world();
    node("one");
    const first = await plane();
    await command("ctl.instance.start", {
      module: { bytes: new Uint8Array([1]) },
      name: "greeter",
      count: 3,
    });
    const before = await command("ctl.instance.list", {});
    await first.stop();
    const second = startControlPlane({
      lattice,
      controlPlaneId: "cp2",
      bus: server.connect(),
      clock,
      chance: seededChance(2),
      log,
    });
    planes.push(second);
    expect((await command("ctl.node.list", {}))["view"]).toMatchObject({ complete: false });
    await clock.advance(600);
    const after = await command("ctl.instance.list", {});
    expect(after["instances"]).toEqual(before["instances"]);
    expect(after["view"]).toMatchObject({ complete: true });
  });

  it("P12 P14: shows what is on a silent node as unreachable, and as it is once the node speaks again", async () => {
    const { node, plane, server, clock, command, refusal } = world();
    const one = node("one");
    await plane();
    await command("ctl.instance.start", { module: { bytes: new Uint8Array([1]) }, instanceId: "g-1" });
    one.speaker.state("provider.available", {
      provider: "kv",
      providerType: "kv",
      backend: "memory",
      version: "1",
    });
    server.disconnect(one.bus);
    await clock.advance(controlPlaneLimits.lostAfterMs + 10);
    expect((await command("ctl.instance.query", { instanceId: "g-1" }))["instance"]).toMatchObject({
      status: "unreachable",
    });
    expect((await command("ctl.provider.list", {}))["providers"]).toMatchObject([{ status: "unreachable" }]);
    expect((await refusal("ctl.instance.stop", { instanceId: "g-1" })).code).toBe("NODE_UNAVAILABLE");
    server.reconnect(one.bus);
    one.heartbeat();
    expect((await command("ctl.instance.query", { instanceId: "g-1" }))["instance"]).toMatchObject({
      status: "running",
    });
  });

  it("R8.2: does not take the loss of its own bus for the loss of the nodes", async () => {
    const { node, plane, server, planeBus, clock, command } = world();
    node("one");
    await plane();
    server.disconnect(planeBus);
    await clock.advance(10 * controlPlaneLimits.lostAfterMs);
    server.reconnect(planeBus);
    const nodes = await command("ctl.node.list", {});
    expect(nodes["nodes"]).toMatchObject([{ nodeId: "one", status: "alive" }]);
    expect(nodes["view"]).toMatchObject({ complete: false });
    await clock.advance(600);
    expect((await command("ctl.node.list", {}))["view"]).toMatchObject({ complete: true });
  });
});
