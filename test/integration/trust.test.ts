import { readFileSync } from "node:fs";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startControlPlane } from "../../actors/control-plane/control-plane.ts";
import type { ControlPlaneTrust } from "../../actors/control-plane/signed-work.ts";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { BusMessage } from "../../src/bus/bus.ts";
import { seededChance } from "../../src/chance.ts";
import { systemClock } from "../../src/clock.ts";
import { decode } from "../../src/protocol/codec.ts";
import type { ProvenAssignment } from "../../src/protocol/instance-spec.ts";
import { commandHeaders } from "../../src/trust/command-signature.ts";
import { startBadNode } from "../support/bad-node.ts";
import { hearFacts } from "../support/lattice-facts.ts";
import { done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";
import { createTestTrust } from "../support/trust.ts";

const { counter } = await buildExamples(["counter"]);
const module = { bytes: readFileSync(counter.path).toString("base64") };
const kv = (permissions: string[], config = {}) => ({
  capabilityId: "store",
  providerType: "kv",
  permissions,
  config,
});

let lattice: TestLattice;
beforeAll(async () => {
  lattice = await startLattice({ trust: createTestTrust() });
  await lattice.controlPlane("cp1");
  await lattice.kvProvider("kv1");
  await lattice.node("n1", { is: "n1" });
  await lattice.node("n2", { is: "n2" });
  // Both nodes have it: a bad one gives it to nobody.
  await done(lattice, "module.put", module);
});
afterAll(() => lattice[Symbol.asyncDispose]());

const start = (instanceId: string, node: string, more: object = {}) =>
  done(lattice, "instance.start", {
    module,
    instanceId,
    requires: { is: node },
    capabilities: [kv(["kv:read", "kv:write"])],
    ...more,
  });

describe("a lattice with roots", () => {
  test(
    "R2.3, R13.4: grants, revocations, moves and scaling work as without",
    { timeout: 60_000 },
    async () => {
      const name = freshId("many");
      await done(lattice, "instance.start", {
        module,
        name,
        count: 2,
        capabilities: [kv(["kv:read", "kv:write"])],
      });
      expect(await lattice.call(name, "increment", "5")).toBe("5");
      await done(lattice, "capability.revoke", { name, capabilityId: "store" });
      expect(await lattice.call(name, "get")).toMatchObject({
        message: expect.stringMatching(/PERMISSION_DENIED/),
      });
      await done(lattice, "capability.assign", { name, assignment: kv(["kv:read"]) });
      expect(await lattice.call(name, "get")).toBe("5");
      expect(await lattice.call(name, "increment", "1")).toMatchObject({
        message: expect.stringMatching(/PERMISSION_DENIED/),
      });
      await done(lattice, "capability.assign", { name, assignment: kv(["kv:read", "kv:write"]) });

      const { instances } = await done(lattice, "instance.list", { name });
      const { instanceId, nodeId } = instances[0];
      const other = nodeId === "n1" ? "n2" : "n1";
      const moved = await done(lattice, "instance.relocate", { instanceId, nodeId: other });
      expect(moved).toMatchObject({ instances: [{ instanceId, nodeId: other, incarnation: 2 }] });
      expect(moved["warning"]).toBeUndefined();
      expect(await lattice.call(instanceId, "increment", "1")).toBe("6");

      expect((await done(lattice, "instance.scale", { name, count: 4 }))["instances"].length).toBe(4);
      const drained = await done(lattice, "node.drain", { nodeId: other });
      expect(drained["left"]).toEqual([]);
      const listed = await done(lattice, "instance.list", { name });
      for (const one of listed["instances"]) expect(await lattice.call(one.instanceId, "get")).toBe("6");
      await done(lattice, "node.resume", { nodeId: other });

      const { assignments } = await done(lattice, "capability.list", { name });
      expect(assignments.length).toBe(4);
      expect(JSON.stringify(assignments)).not.toContain("proof");
      const { instance } = await done(lattice, "instance.query", { instanceId });
      expect(instance.capabilities).toEqual([kv(["kv:read", "kv:write"])]);
      await done(lattice, "instance.stop", { name });
    },
  );

  test("P4: commands that no control plane signed are refused with the reason, stated, and change nothing", async () => {
    const facts = await hearFacts(lattice);
    const instanceId = freshId("kept");
    await start(instanceId, "n1");
    const send = (headers: Record<string, string>) =>
      lattice.bus
        .request(
          "wasmatrix.node.v1.default.n1.instance.stop",
          new TextEncoder().encode(JSON.stringify({ instanceIds: [instanceId] })),
          { timeoutMs: 5_000, headers },
        )
        .then((answer) => JSON.parse(new TextDecoder().decode(answer.data)) as object);
    expect(await send({})).toMatchObject({
      ok: false,
      error: { code: "PERMISSION_DENIED", details: { reason: "unsigned" }, fix: expect.any(String) },
    });
    const forged = createTestTrust().controlPlane("cp1").signing.certificate;
    const headers = {
      [commandHeaders.signature]: "A".repeat(86),
      [commandHeaders.nonce]: "A".repeat(22),
      [commandHeaders.time]: String(Date.now()),
      [commandHeaders.epoch]: "1",
      [commandHeaders.certificate]: forged,
    };
    expect(await send(headers)).toMatchObject({ error: { details: { reason: "unknown-certificate" } } });
    await vi.waitFor(() => {
      const refused = facts.all.filter(({ kind }) => kind === "command.refused");
      expect(refused.map(({ node, data }) => ({ node, ...data }))).toEqual([
        { node: "n1", row: "node.instance.stop", reason: "unsigned", count: 1 },
        { node: "n1", row: "node.instance.stop", reason: "unknown-certificate", count: 1 },
      ]);
    });
    expect(await lattice.call(instanceId, "get")).toBe("0");
    facts.stop();
  });

  test("P4: a command that is sent again as it was has no effect and gets no answer", async () => {
    const facts = await hearFacts(lattice);
    const overheard: BusMessage[] = [];
    const subject = "wasmatrix.node.v1.default.n1.instance.restart";
    const subscription = lattice.bus.subscribe(subject, (message) => void overheard.push(message));
    await lattice.bus.flush();
    const instanceId = freshId("restarted");
    await start(instanceId, "n1");
    await done(lattice, "instance.restart", { instanceId });
    subscription.unsubscribe();
    const [first] = overheard;
    const headers = Object.fromEntries(
      Object.values(commandHeaders).map((name) => [name, first?.header(name) ?? ""]),
    );
    const again = lattice.bus.request(subject, first?.data ?? new Uint8Array(), { timeoutMs: 500, headers });
    await expect(again).rejects.toMatchObject({ code: "TIMEOUT" });
    const elsewhere = lattice.bus.request(subject.replace("n1", "n2"), first?.data ?? new Uint8Array(), {
      timeoutMs: 5_000,
      headers,
    });
    expect(decode((await elsewhere).data).value).toMatchObject({
      error: { details: { reason: "bad-signature" } },
    });
    const { instance } = await done(lattice, "instance.query", { instanceId });
    expect(instance).toMatchObject({ restarts: 1, status: "running" });
    await vi.waitFor(() =>
      expect(facts.all.filter(({ kind }) => kind === "command.refused")).toMatchObject([
        { node: "n1", data: { row: "node.instance.restart", reason: "replayed", count: 1 } },
        { node: "n2", data: { row: "node.instance.restart", reason: "bad-signature", count: 1 } },
      ]),
    );
    facts.stop();
  });
});

describe("P17, R12.4: a bad node", () => {
  const proofIn = async (instanceId: string) => {
    const facts = await hearFacts(lattice);
    await start(instanceId, "n1");
    facts.stop();
    const fact = facts.all.find(
      (one) => one.kind === "instance.starting" && one.data.spec.instanceId === instanceId,
    );
    if (fact?.kind !== "instance.starting") throw new Error("it was not said to start");
    return fact.data.spec.capabilities[0] as ProvenAssignment;
  };

  test("gets nothing by a proof of another node, nor by grants that it invents", async () => {
    const instanceId = freshId("victim");
    const stolen = await proofIn(instanceId);
    expect(stolen.proof?.length).toBeLessThanOrEqual(130);
    const bad = await startBadNode(lattice, freshId("bad"));
    bad.claim(instanceId, [stolen]);
    expect(await bad.call(instanceId)).toBe("PERMISSION_DENIED");
    bad.claim("mine", [kv(["kv:read"])]);
    expect(await bad.call("mine")).toBe("PERMISSION_DENIED");
    bad.claim("mine", [{ ...stolen, capabilityId: "store" }]);
    expect(await bad.call("mine")).toBe("PERMISSION_DENIED");
    expect(await lattice.call(instanceId, "get")).toBe("0");
  });

  test("keeps to what it was granted: no other settings, permissions, incarnation or instance", async () => {
    const bad = await startBadNode(lattice, freshId("bad"));
    const instanceId = freshId("lent");
    await vi.waitFor(() => start(instanceId, bad.speaker.nodeId, { capabilities: [kv(["kv:read"])] }));
    expect(await bad.call(instanceId)).toBe("done");
    const [granted] = bad.grantsOf(instanceId) as [ProvenAssignment];
    const tries: [string, ProvenAssignment, number][] = [
      [instanceId, { ...granted, config: { bucket: "others" } }, 1],
      [instanceId, { ...granted, permissions: ["kv:read", "kv:write"] }, 1],
      [instanceId, granted, 2],
      [freshId("another"), granted, 1],
    ];
    for (const [claimed, grant, incarnation] of tries) {
      bad.claim(claimed, [grant], incarnation);
      const operation = grant.permissions.length > 1 ? "set" : "get";
      expect(await bad.call(claimed, operation, { incarnation })).toBe("PERMISSION_DENIED");
    }
    bad.claim(instanceId, [granted], 1);
    expect(await bad.call(instanceId)).toBe("done");
  });

  test("loses a grant at the next call although it never says so", async () => {
    const bad = await startBadNode(lattice, freshId("bad"));
    const instanceId = freshId("lost");
    await vi.waitFor(() => start(instanceId, bad.speaker.nodeId));
    expect(await bad.call(instanceId)).toBe("done");
    await done(lattice, "capability.revoke", { instanceId, capabilityId: "store" });
    expect(await bad.call(instanceId)).toBe("PERMISSION_DENIED");
    // A grant that is made anew is another one.
    await start(instanceId.replace("lost", "other"), bad.speaker.nodeId);
    expect(await bad.call(instanceId.replace("lost", "other"))).toBe("done");
    expect(await bad.call(instanceId)).toBe("PERMISSION_DENIED");
  });

  test("has its invented grants left out when its instances move, and the command warns of it", async () => {
    const bad = await startBadNode(lattice, freshId("bad"));
    const instanceId = freshId("launder");
    await vi.waitFor(() => start(instanceId, bad.speaker.nodeId));
    const [granted] = bad.grantsOf(instanceId) as [ProvenAssignment];
    const everything = kv(["kv:read", "kv:write", "kv:delete"], { bucket: "others" });
    for (const assignment of [
      { ...everything, capabilityId: "bare" },
      { ...everything, capabilityId: "borrowed", proof: granted.proof },
    ])
      bad.speaker.state("capability.assigned", { instanceId, assignment });
    await vi.waitFor(async () =>
      expect((await done(lattice, "capability.list", { instanceId }))["assignments"].length).toBe(3),
    );
    await done(lattice, "node.label", { nodeId: "n1", labels: { is: bad.speaker.nodeId } });
    const moved = await done(lattice, "instance.relocate", { instanceId, nodeId: "n1" });
    await done(lattice, "node.label", { nodeId: "n1", labels: { is: "n1" } });
    expect(moved["warning"]).toMatch(/left out: bare, borrowed/);
    const { instance } = await done(lattice, "instance.query", { instanceId });
    expect(instance).toMatchObject({ nodeId: "n1", incarnation: 2 });
    expect(instance.capabilities).toEqual([kv(["kv:read", "kv:write"])]);
    expect(await lattice.call(instanceId, "increment", "3")).toBe("3");
    expect(await bad.call(instanceId)).toBe("PERMISSION_DENIED");
  });
});

describe("P12, R8.2: a bad node that states what others run", () => {
  test("neither takes their place nor ends them, however late its incarnation is", async () => {
    const facts = await hearFacts(lattice);
    const bad = await startBadNode(lattice, freshId("a-bad"));
    const instanceId = freshId("theirs");
    await start(instanceId, "n1", { onNodeLoss: "relocate" });
    const { placement } = bad.speaker.own().instances.get(instanceId)?.spec ?? {};
    expect(placement).toBeUndefined();
    bad.claim(instanceId, [], 9);
    bad.speaker.state("instance.stopped", { instanceId, restarts: 0, reason: "so it says" }, "some-command");
    bad.claim(instanceId, [], 10, { onNodeLoss: "relocate" });
    // What is moved in order afterwards comes after all that is done about those claims.
    const moved = freshId("moved");
    await start(moved, "n1");
    await done(lattice, "node.label", { nodeId: "n2", labels: { is: "n1" } });
    await done(lattice, "instance.relocate", { instanceId: moved, nodeId: "n2" });
    await done(lattice, "node.label", { nodeId: "n2", labels: { is: "n2" } });
    await vi.waitFor(() =>
      expect(
        facts.all.some(({ kind, data }) => kind === "instance.fenced" && data.instanceId === moved),
      ).toBe(true),
    );
    const { instance } = await done(lattice, "instance.query", { instanceId });
    expect(instance).toMatchObject({ nodeId: "n1", incarnation: 1, status: "running" });
    expect(await lattice.call(instanceId, "increment", "2")).toBe("2");
    expect((await done(lattice, "instance.restart", { instanceId }))["instances"]).toMatchObject([
      { nodeId: "n1", incarnation: 1 },
    ]);
    const told = facts.all.filter(
      ({ kind, data }) => kind === "instance.fenced" && data.instanceId === instanceId,
    );
    expect(told).toEqual([]);
    facts.stop();
  });

  test("has nothing started elsewhere that nobody put on it, nor what was as another module", async () => {
    const bad = await startBadNode(lattice, freshId("bad"));
    const [ids, spec] = [
      { invented: freshId("invented"), changed: freshId("changed") },
      { onNodeLoss: "relocate" as const },
    ];
    await vi.waitFor(() => start(ids.changed, bad.speaker.nodeId, spec));
    const { placement } = bad.speaker.own().instances.get(ids.changed)?.spec ?? {};
    bad.claim(ids.invented, [], 1, { ...spec, ...(placement === undefined ? {} : { placement }) });
    bad.claim(ids.changed, [], 1, { ...spec, ...(placement === undefined ? {} : { placement }) });
    for (const instanceId of Object.values(ids)) {
      const refusal = await lattice.command("instance.relocate", { instanceId, nodeId: "n1" });
      expect(refusal).toMatchObject({ ok: false, error: { code: "PERMISSION_DENIED" } });
    }
  });
});

test("R1.4, P12: what a lost node ran goes on elsewhere with the grants that were signed, and no others", async () => {
  const bad = await startBadNode(lattice, freshId("bad"));
  const instanceId = freshId("orphaned");
  await vi.waitFor(() => start(instanceId, bad.speaker.nodeId, { onNodeLoss: "relocate" }));
  const [granted] = bad.grantsOf(instanceId) as [ProvenAssignment];
  const assignment = { ...granted, capabilityId: "borrowed", config: { bucket: "others" } };
  bad.speaker.state("capability.assigned", { instanceId, assignment });
  await done(lattice, "node.label", { nodeId: "n1", labels: { is: bad.speaker.nodeId } });
  // It never beats, and nobody listens where it is asked whether it is there.
  await vi.waitFor(
    async () => {
      const { instance } = await done(lattice, "instance.query", { instanceId });
      expect(instance).toMatchObject({ nodeId: "n1", incarnation: 2, status: "running" });
      expect(instance.capabilities).toEqual([kv(["kv:read", "kv:write"])]);
    },
    { timeout: 15_000, interval: 50 },
  );
  await done(lattice, "node.label", { nodeId: "n1", labels: { is: "n1" } });
  expect(await lattice.call(instanceId, "increment", "2")).toBe("2");
  expect(await bad.call(instanceId)).toBe("PERMISSION_DENIED");
});

describe("P4, R12.4: keys of control planes", () => {
  test("one with a new key, of another root, takes over without a failed call, and moves what the first granted", async () => {
    await using rotating = await startLattice({ trust: createTestTrust() });
    const first = await rotating.controlPlane("old");
    await rotating.kvProvider("kv1");
    await rotating.node("n1");
    const instanceId = freshId("goes-on");
    await done(rotating, "instance.start", {
      module,
      instanceId,
      capabilities: [kv(["kv:read", "kv:write"])],
    });
    await rotating.node("n2");
    const failures: unknown[] = [];
    let calls = 0;
    let goesOn = true;
    const load = (async () => {
      for (; goesOn; calls += 1) {
        const answer = await rotating.call(instanceId, "increment", "1");
        if (typeof answer !== "string") failures.push(answer);
      }
    })();
    await rotating.controlPlane("new", 1);
    await first.stop();
    const name = { instanceId };
    await done(rotating, "capability.assign", {
      ...name,
      assignment: { ...kv(["kv:read"]), capabilityId: "more" },
    });
    expect(await done(rotating, "instance.relocate", { ...name, nodeId: "n2" })).toMatchObject({
      instances: [{ nodeId: "n2", incarnation: 2 }],
    });
    const { instance } = await done(rotating, "instance.query", name);
    expect(instance.capabilities.length).toBe(2);
    goesOn = false;
    await load;
    expect(failures).toEqual([]);
    expect(await rotating.call(instanceId, "get")).toBe(String(calls));
    await done(rotating, "capability.revoke", { ...name, capabilityId: "store" });
    expect(await rotating.call(instanceId, "get")).toMatchObject({ code: "GUEST_ERROR" });
  });

  test("one whose certificate has ended, or is not of a root, or of another lattice, does not start", async () => {
    await using closed = await startLattice({ trust: createTestTrust() });
    const trusted = createTestTrust();
    const common = { lattice: "default", bus: closed.bus, clock: systemClock, chance: seededChance(1) };
    const begin = (trust: ControlPlaneTrust) => () =>
      startControlPlane({ ...common, controlPlaneId: "cp", log: pino({ enabled: false }), trust });
    const denied = expect.objectContaining({ code: "PERMISSION_DENIED", fix: expect.any(String) });
    expect(begin(trusted.controlPlane("cp", { until: "2001-01-01T00:00:00Z" }))).toThrow(denied);
    expect(begin(trusted.controlPlane("cp", { lattice: "other" }))).toThrow(denied);
    expect(begin({ ...trusted.controlPlane("cp"), roots: createTestTrust().roots })).toThrow(denied);
    const { certificate } = trusted.controlPlane("cp").signing;
    const { seed } = trusted.controlPlane("cp").signing;
    expect(begin({ roots: trusted.roots, signing: { seed, certificate } })).toThrow(denied);
  });
});
