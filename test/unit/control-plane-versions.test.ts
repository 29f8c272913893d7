import pino from "pino";
import { afterEach, expect, test } from "vitest";
import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { nodeTable } from "../../cli/render/lists.ts";
import { paintFor } from "../../cli/render/paint.ts";
import { ask } from "../../src/bus/ask.ts";
import { seededChance } from "../../src/chance.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { InstanceSpec } from "../../src/protocol/instance-spec.ts";
import { startFakeNode } from "../support/fake-node.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const lattice = "default";
const planes: ControlPlane[] = [];
afterEach(() => planes.splice(0).forEach((plane) => void plane.stop()));

async function world(versions: Record<string, string>) {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const client = server.connect();
  const nodes = Object.entries(versions).map(([nodeId, protocolVersion]) => {
    const bus = server.connect();
    return Object.assign(startFakeNode({ bus, clock, nodeId, protocolVersion }), { bus });
  });
  const log = pino({ level: "silent" });
  const bus = server.connect();
  planes.push(startControlPlane({ lattice, controlPlaneId: "cp", bus, clock, chance: seededChance(1), log }));
  await clock.advance(600);
  const options = { timeoutMs: 5_000 };
  return {
    clock,
    server,
    client,
    nodes,
    list: () => ask(client, "ctl.node.list", { lattice }, {}, options),
    start: (instanceId: string) =>
      ask(
        client,
        "ctl.instance.start",
        { lattice },
        { module: { bytes: new Uint8Array([1]) }, instanceId },
        options,
      ),
  };
}

test("R11.3: a node of another major version is shown with VERSION_MISMATCH and gets no work, one of another minor does", async () => {
  const { clock, list, start, nodes } = await world({ newer: "1.7", alien: "2.0" });
  const [alien, newer] = (await list()).nodes;
  const reason = "VERSION_MISMATCH: it speaks protocol 2.0, this control plane 1.1";
  expect(alien).toMatchObject({ nodeId: "alien", status: "alive", protocolVersion: "2.0", reason });
  expect([newer?.protocolVersion, newer?.reason]).toEqual(["1.7", undefined]);
  const table = nodeTable(paintFor(false, {}), clock.now(), [alien as never]);
  expect(table).toContain(reason);
  for (const id of ["a", "b", "c"]) await start(id);
  expect(nodes.map(({ speaker }) => speaker.own().instances.size)).toEqual([3, 0]);
});

test("R11.3: where there is no other node, the refusal says why", async () => {
  const { start } = await world({ alien: "2.0" });
  await expect(start("a")).rejects.toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    message: expect.stringContaining("alien is not given work: VERSION_MISMATCH"),
  });
});

test.each(["json", "msgpack"] as const)(
  "R11.3: a command of another major version is answered with VERSION_MISMATCH, in %s",
  async (form) => {
    const { client } = await world({ one: "1.0" });
    for (const subject of ["v2.default.instance.start", "v0.default.x", "v9.default.a.b.c.d"]) {
      const data = encode({ anything: true }, form);
      const answer = await client.request(`wasmatrix.ctl.${subject}`, data, { timeoutMs: 1_000 });
      const { value, form: answered } = decode(answer.data);
      expect(answered).toBe(form);
      expect(value).toMatchObject({
        ok: false,
        error: { code: "VERSION_MISMATCH", retry: "never", details: { protocolVersion: "1.1" } },
      });
    }
    const none = client.request("wasmatrix.ctl.v2.other.node.list", encode({}, form), { timeoutMs: 1_000 });
    await expect(none).rejects.toMatchObject({ details: { noResponders: true } });
  },
);

test("R11.3, P12: what a newer minor version says of an instance goes with it when its node is lost", async () => {
  const { clock, server, nodes } = await world({ one: "1.9", two: "1.9" });
  const [one, two] = nodes;
  const capabilities = [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read"] }];
  const known = InstanceSpec.parse({
    moduleHash: `sha256:${"a".repeat(64)}`,
    instanceId: "i-1",
    incarnation: 1,
    onNodeLoss: "relocate",
    commandId: "c",
    createdAt: "2026-01-01T00:00:00.000Z",
    capabilities,
  });
  const added = { priority: "high" };
  const spec = {
    ...known,
    ...added,
    capabilities: known.capabilities.map((grant) => ({ ...grant, ...added })),
  };
  one?.speaker.state("instance.starting", { spec, restarts: 0 });
  one?.speaker.state("instance.running", { instanceId: "i-1", restarts: 0 });
  await clock.advance(10);
  server.disconnect(one?.bus);
  for (let waited = 0; waited < controlPlaneLimits.lostAfterMs + 1_000; waited += 1_000) {
    two?.heartbeat();
    await clock.advance(1_000);
  }
  const there = two?.speaker.own().instances.get("i-1");
  expect(there?.spec).toEqual({ ...spec, incarnation: 2 });
  expect([...(there?.assignments.values() ?? [])]).toEqual(spec.capabilities);
});
