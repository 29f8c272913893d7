import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { expect, onTestFinished, test } from "vitest";
import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { startNodeAgent } from "../../actors/node-agent/node-agent.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import type { AnswerOf } from "../../src/bus/serve.ts";
import type { GrantHolder } from "../../src/capabilities/capability.ts";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import { seededChance } from "../../src/chance.ts";
import { createSpeaker } from "../../src/lattice/speaker.ts";
import { proofLimits } from "../../src/limits.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { readProof } from "../../src/trust/proof.ts";
import { nodeUnderTest } from "../support/node-under-test.ts";
import { createTestTrust } from "../support/trust.ts";

const lattice = "default";
const log = pino({ level: "silent" });
const minuteMs = 60_000;
const grant = { capabilityId: "store", providerType: "kv", permissions: ["kv:read"] };

/** A lattice with roots whose time the test owns: node n1 with instance `a`, a kv provider, and control planes. */
async function trustedLattice() {
  const trust = createTestTrust();
  const { roots } = trust;
  const node = await nodeUnderTest({ trust: { roots } });
  const { clock, server, bus } = node;
  const told: (readonly GrantHolder[])[] = [];
  const host = startNodeAgent({
    lattice,
    nodeId: "p1",
    bus: server.connect(),
    clock,
    chance: seededChance(2),
    log,
    labels: {},
    modulesDirectory: await mkdtemp(join(tmpdir(), "wasmatrix-trust-")),
    instancesMax: 0,
    trust: { roots },
    providers: [
      {
        provider: "kv",
        kind: "kv",
        providerType: "kv",
        backend: "memory",
        config: {},
        create: async () => ({ ...createMemoryKv(), granted: (holders) => void told.push(holders) }),
      },
    ],
  });

  /** Lets time pass until that is settled. */
  async function settled<Result>(work: Promise<Result>): Promise<Result> {
    let isOver = false;
    const over = () => void (isOver = true);
    work.then(over, over);
    while (!isOver) await clock.advance(20);
    return work;
  }
  async function controlPlane(id: string): Promise<ControlPlane> {
    const common = { lattice, bus: server.connect(), clock, chance: seededChance(3), log };
    const plane = startControlPlane({ ...common, controlPlaneId: id, trust: trust.controlPlane(id) });
    onTestFinished(() => settled(plane.stop()));
    await settled(plane.ready);
    return plane;
  }
  const command = <Name extends SubjectName>(
    name: Name,
    question: QuestionOf<Name>,
  ): Promise<AnswerOf<Name>> => settled(ask(bus, name, { lattice }, question, { timeoutMs: minuteMs }));
  const call = async (instanceId = "a", callingNode = "n1") => {
    const subject = subjectFor("cap", { lattice, provider: "kv", callingNode, operation: "get" });
    const payload = encode({ key: "k" }, "msgpack");
    const data = encode({ instanceId, incarnation: 1, capabilityId: "store", payload }, "msgpack");
    const answer = await settled(bus.request(subject, data, { timeoutMs: minuteMs }));
    return answer.header("Wasmatrix-Error-Code") ?? "done";
  };
  const proof = async () => {
    const at = { lattice, node: "n1" };
    const said = await settled(
      ask(bus, "node.capability.list", at, { instanceId: "a" }, { timeoutMs: minuteMs }),
    );
    return readProof(said.capabilities[0]?.proof);
  };
  await settled(host.ready);
  onTestFinished(() => settled(host.stop("the test is over")));
  const plane = await controlPlane("cp1");
  const module = { bytes: new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]) };
  // Modules are files: time stands still while they are written.
  const options = { timeoutMs: minuteMs };
  await ask(
    bus,
    "ctl.instance.start",
    { lattice },
    { module, instanceId: "a", capabilities: [grant] },
    options,
  );
  return { node, clock, told, plane, controlPlane, command, call, proof, settled };
}

test("P4, R2.3: a grant goes on counting for long, for its proof is renewed without a call that waits or fails", async () => {
  const { clock, call, proof } = await trustedLattice();
  const first = await proof();
  for (let minute = 0; minute < 20; minute += 1) {
    await clock.advance(minuteMs);
    expect(await call()).toBe("done");
  }
  const last = await proof();
  expect(last?.grantId).toBe(first?.grantId);
  expect((last?.expiresMs ?? 0) - clock.now()).toBeGreaterThan(0);
});

test("P4: one that nobody used for long counts again after its node was asked", async () => {
  const { clock, call } = await trustedLattice();
  await clock.advance(30 * minuteMs);
  expect(await call()).toBe("done");
});

test("R4.3: with no control plane in reach grants go on counting, also while the next one finds out what there is", async () => {
  const { clock, call, plane, controlPlane, settled, proof } = await trustedLattice();
  expect(await call()).toBe("done");
  await settled(plane.stop());
  for (let minute = 0; minute < 20; minute += 1) {
    await clock.advance(minuteMs);
    expect(await call()).toBe("done");
  }
  const old = await proof();
  await controlPlane("cp2");
  for (let second = 0; second < 60; second += 1) {
    expect(await call()).toBe("done");
    await clock.advance(1_000);
  }
  expect((await proof())?.grantId).toBe(old?.grantId);
  expect((await proof())?.expiresMs).toBeGreaterThan(clock.now());
});

test("P4: once a control plane is there, a proof that has ended and that nobody renews counts no longer", async () => {
  const { node, clock, call, command } = await trustedLattice();
  expect(await call()).toBe("done");
  // The node can be asked by nobody and asks nobody, and yet calls come in its name.
  node.server.disconnect(node.nodeBus);
  await clock.advance(proofLimits.proofMs - minuteMs);
  expect(await call()).toBe("done");
  await clock.advance(2 * minuteMs);
  expect(await call()).toBe("PERMISSION_DENIED");
  node.server.reconnect(node.nodeBus);
  await clock.advance(10_000);
  expect(await call()).toBe("done");
  await command("ctl.capability.revoke", { instanceId: "a", capabilityId: "store" });
  expect(await call()).toBe("PERMISSION_DENIED");
});

test("R2.3: a capability that acts by itself is told of grants with proofs alone, as long as they are renewed", async () => {
  const { node, clock, told, command } = await trustedLattice();
  const holders = () => told.at(-1)?.map(({ nodeId, instanceId }) => `${nodeId} ${instanceId}`);
  await clock.advance(100);
  expect(holders()).toEqual(["n1 a"]);
  const publish = (subject: string, data: Uint8Array) => node.bus.publish(subject, data);
  const liar = createSpeaker({ lattice, nodeId: "liar", clock, publish });
  const started = node.facts.find((fact) => fact.kind === "instance.starting");
  if (started?.kind !== "instance.starting") throw new Error("it was not said to start");
  const joined = node.facts.find((fact) => fact.kind === "node.joined");
  if (joined?.kind === "node.joined") liar.state("node.joined", joined.data);
  liar.state("instance.starting", { ...started.data, spec: { ...started.data.spec, instanceId: "b" } });
  liar.state("instance.running", { instanceId: "b", restarts: 0 });
  await clock.advance(20 * minuteMs);
  expect(holders()).toEqual(["n1 a"]);
  await command("ctl.capability.revoke", { instanceId: "a", capabilityId: "store" });
  await clock.advance(100);
  expect(holders()).toEqual([]);
});
