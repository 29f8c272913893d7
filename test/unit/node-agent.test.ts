import { expect, test } from "vitest";
import { failureInAnswer } from "../../src/bus/guest-answers.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { memoryKvProvider } from "../support/hosted-provider.ts";
import { moduleDigest, nodeUnderTest } from "../support/node-under-test.ts";

const kindsAbout = (facts: { kind: string; data: object }[], instanceId: string) =>
  facts.flatMap(({ kind, data }) =>
    ("instanceId" in data && data.instanceId === instanceId) ||
    ("spec" in data && (data.spec as { instanceId: string }).instanceId === instanceId)
      ? [kind]
      : [],
  );

test("a node joins with its first fact, then its engine is there, and each fact has the next number", async () => {
  const { facts, clock } = await nodeUnderTest();
  await clock.advance(0);
  expect(facts.map(({ seq, kind }) => [seq, kind])).toEqual([
    [1, "node.joined"],
    [2, "engine.started"],
  ]);
});

test("a node beats every two seconds, and at once when the bus is back", async () => {
  const { heartbeats, clock, server, nodeBus } = await nodeUnderTest();
  await clock.advance(6_000);
  expect(heartbeats).toHaveLength(4);
  server.disconnect(nodeBus);
  await clock.advance(1_000);
  server.reconnect(nodeBus);
  await clock.advance(0);
  expect(heartbeats).toHaveLength(5);
});

test("1,000 instances start by one command, and are told of with the answer", async () => {
  const node = await nodeUnderTest();
  await node.putModule();
  const ids = Array.from({ length: 1_000 }, (_, index) => `i${index}`);
  const answer = await node.start(ids);
  expect([answer.instances.length, answer.failed]).toEqual([1_000, []]);
  expect(new Set(answer.instances.map(({ status }) => status))).toEqual(new Set(["running"]));
  expect(node.engines.guests.size).toBe(1_000);
});

test("a repeated start gets the present state and has no second effect, another one is refused", async () => {
  const node = await nodeUnderTest();
  await node.putModule();
  await node.start(["a"]);
  const repeated = await node.start(["a"]);
  const other = await node.start(["a"], { commandId: "c2" });
  expect([repeated.instances.length, other.failed[0]?.error.code]).toEqual([1, "INSTANCE_EXISTS"]);
  expect(node.engines.log).toEqual(["start a"]);
});

test("a module that nobody holds, a bad one and one instance too many are refused, each with its code", async () => {
  const node = await nodeUnderTest({ instancesMax: 1 });
  await expect(node.start(["a"])).rejects.toMatchObject({ code: "MODULE_NOT_FOUND" });
  await node.putModule();
  node.engines.badModules.set(moduleDigest, new Failure("INVALID_MODULE", "no entry point"));
  await expect(node.start(["a"])).rejects.toMatchObject({
    code: "INVALID_MODULE",
    message: "no entry point",
  });
  node.engines.badModules.clear();
  const { instances, failed } = await node.start(["a", "b"]);
  expect([instances.length, failed.length, failed[0]?.error.code]).toEqual([1, 1, "RESOURCE_EXHAUSTED"]);
});

test("stop ends an instance once; a second stop and an unknown id say which of both it is", async () => {
  const node = await nodeUnderTest();
  await node.putModule();
  await node.start(["a"]);
  const first = await node.ask("node.instance.stop", { instanceIds: ["a"], commandId: "c9" });
  const again = await node.ask("node.instance.stop", { instanceIds: ["a", "nobody"] });
  expect(first.instances[0]?.status).toBe("stopped");
  expect(again.failed.map(({ error }) => error.code)).toEqual(["INSTANCE_UNAVAILABLE", "INSTANCE_NOT_FOUND"]);
  expect(node.facts.findLast(({ kind }) => kind === "instance.stopped")?.cause).toBe("c9");
});

test("an engine that dies is a fact, is started again, and all instances run again without a crash", async () => {
  const node = await nodeUnderTest();
  await node.putModule();
  await node.start(["a", "b"]);
  node.engines.die("SIGABRT");
  await node.clock.advance(1_000);
  expect(node.engines.launches).toBe(2);
  expect([...node.engines.guests.keys()].toSorted()).toEqual(["a", "b"]);
  const lost = node.facts.find(({ kind }) => kind === "engine.lost");
  expect(lost?.data).toEqual({ reason: "SIGABRT", instances: 2 });
  expect(kindsAbout(node.facts, "a")).toEqual([
    "instance.starting",
    "instance.running",
    "instance.restarting",
    "instance.running",
  ]);
});

test("a grant reaches the engine before the fact, and a denial names the command that would grant it", async () => {
  const node = await nodeUnderTest();
  await node.putModule();
  await node.start(["a"], { name: "shop" });
  const assignment = { capabilityId: "kv", providerType: "kv", permissions: ["kv:read"], config: {} };
  await node.ask("node.capability.assign", { instanceIds: ["a"], assignment });
  expect(node.engines.log.at(-1)).toBe("grant a kv=kv:read");
  node.engines.say({
    type: "capability.denied",
    instanceId: "a",
    capabilityId: "kv",
    providerType: "kv",
    operation: "set",
    permission: "kv:write",
    count: 1,
  });
  await node.clock.advance(0);
  expect(node.facts.at(-1)?.data).toMatchObject({ fix: "wasmatrix assign shop kv=kv:read,kv:write" });
  const listed = await node.ask("node.capability.list", { instanceId: "a" });
  expect(listed).toMatchObject({ instanceId: "a", name: "shop", incarnation: 1, capabilities: [assignment] });
  await node.ask("node.capability.revoke", { instanceIds: ["a"], capabilityId: "kv" });
  expect(node.engines.log.at(-1)).toBe("grant a");
});

test("P6: a start that comes after a later one under the same id was stopped does not bring back what was before", async () => {
  const node = await nodeUnderTest();
  await node.putModule();
  await node.start(["a"], { commandId: "later", createdAt: "2026-01-01T00:01:00.000Z" });
  await node.ask("node.instance.stop", { instanceIds: ["a"], commandId: "stop" });
  const answer = await node.start(["a"], { commandId: "earlier" });
  expect(answer).toMatchObject({
    instances: [],
    failed: [{ instanceId: "a", error: { code: "INSTANCE_UNAVAILABLE" } }],
  });
  const again = await node.start(["a"], { commandId: "again", createdAt: "2026-01-01T00:02:00.000Z" });
  expect(again).toMatchObject({ instances: [{ instanceId: "a", status: "running" }], failed: [] });
});

test("a leaving node ends its instances, closes its engine for good, and says goodbye last", async () => {
  const node = await nodeUnderTest();
  await node.putModule();
  await node.start(["a"]);
  await node.stop();
  await node.clock.advance(60_000);
  expect(node.facts.slice(-3).map(({ kind }) => kind)).toEqual([
    "node.draining",
    "instance.stopped",
    "node.left",
  ]);
  expect([node.engines.log.slice(-2), node.engines.launches]).toEqual([["stop a", "close"], 1]);
  expect(node.clock.pending()).toEqual([]);
});

test("a provider answers an instance with the grant, and refuses others and other nodes", async () => {
  const node = await nodeUnderTest({ providers: [memoryKvProvider()] });
  await node.putModule();
  await node.start(["a"], {
    capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:write"] }],
  });
  const call = async (callingNode: string, instanceId: string, operation: string) => {
    const subject = subjectFor("cap", { lattice: "default", provider: "kv", callingNode, operation });
    const payload = encode({ key: "k", value: new Uint8Array([1]) }, "msgpack");
    const data = encode({ instanceId, incarnation: 1, capabilityId: "store", payload }, "msgpack");
    const answer = await node.bus.request(subject, data, { timeoutMs: 60_000 });
    const failure = failureInAnswer(answer);
    return failure?.code ?? typeof decode(answer.data).value;
  };
  expect(await call("n1", "a", "set")).toBe("object");
  expect(await call("n1", "a", "get")).toBe("PERMISSION_DENIED");
  expect(await call("n1", "b", "set")).toBe("PERMISSION_DENIED");
  expect(await call("n2", "a", "set")).toBe("PERMISSION_DENIED");
  expect(await call("n1", "a", "explode")).toBe("INVALID_REQUEST");
  await node.stop();
  await expect(call("n1", "a", "set")).rejects.toMatchObject({
    code: "COMMUNICATION_FAILURE",
    details: { noResponders: true },
  });
});
