import pino from "pino";
import { expect, test } from "vitest";
import { createLatticeWatch } from "../../actors/lattice-watch/lattice-watch.ts";
import { openProviderCalls } from "../../actors/provider/provider-calls.ts";
import { failureInAnswer } from "../../src/bus/guest-answers.ts";
import type { Bus, BusMessage } from "../../src/bus/bus.ts";
import { createStreams } from "../../src/bus/streams.ts";
import type { Clock } from "../../src/clock.ts";
import { createSpeaker } from "../../src/lattice/speaker.ts";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import { nodeUnderTest, type NodeUnderTest } from "../support/node-under-test.ts";

const grant = (permissions: string[]) => ({
  capabilityId: "store",
  providerType: "kv",
  permissions,
  config: {},
});

/** A bus whose facts can be kept back: a call then overtakes them, as one on another connection may. */
function lateFacts(bus: Bus) {
  const kept: (() => void)[] = [];
  let late = false;
  let beforeAnswer: (() => Promise<void>) | undefined;
  const slow: Bus = Object.create(bus, {
    subscribe: {
      value: ((filter, onMessage, options) =>
        bus.subscribe(
          filter,
          (message: BusMessage) => {
            if (late && message.subject.includes(".fact.")) kept.push(() => onMessage(message));
            else onMessage(message);
          },
          options,
        )) satisfies Bus["subscribe"],
    },
    request: {
      value: (async (...question) => {
        const answer = await bus.request(...question);
        await beforeAnswer?.();
        return answer;
      }) satisfies Bus["request"],
    },
  }) as Bus;
  return {
    slow,
    keep: () => void (late = true),
    /** What is heard between an answer's arrival and its reader's turn: both may come in one piece off a socket. */
    hearBeforeAnswer: (hear: () => Promise<void>) => void (beforeAnswer = hear),
    letGo: () => {
      late = false;
      for (const deliver of kept.splice(0)) deliver();
    },
  };
}

/** Another node, n2, that has joined and says what a test lets it say. */
function speaksElsewhere({ server }: Pick<NodeUnderTest, "server">, clock: Clock) {
  const bus = server.connect();
  const publish = (subject: string, data: Uint8Array) => bus.publish(subject, data);
  const elsewhere = createSpeaker({ lattice: "default", nodeId: "n2", clock, publish });
  elsewhere.state("node.joined", {
    productVersion: "0",
    protocolVersion: "1.0",
    hostname: "h",
    pid: 1,
    labels: {},
    guestKinds: ["wapc"],
    instancesMax: 10,
  });
  return { bus, elsewhere };
}

/** An instance `a` on node n1, and a provider of its own host elsewhere. */
async function remoteProvider() {
  const node = await nodeUnderTest();
  const { clock, server } = node;
  const { slow, keep, letGo, hearBeforeAnswer } = lateFacts(server.connect());
  const log = pino({ level: "silent" });
  const watch = createLatticeWatch({ lattice: "default", bus: slow, clock, log });
  watch.start();
  const capability = createMemoryKv();
  const options = {
    lattice: "default",
    provider: "kv",
    capability,
    streams: createStreams({ lattice: "default", holder: "p1", bus: slow, clock }),
    bus: slow,
    clock,
    log,
    watch,
    inProgress: new Set<() => Iterable<BusMessage>>(),
  };
  const provider = openProviderCalls({ ...options, onBroken: () => {} });
  await node.putModule();
  await node.start(["a"]);
  await clock.advance(1_000);
  const send = async (data: Uint8Array, callingNode: string, operation: string) => {
    const subject = subjectFor("cap", { lattice: "default", provider: "kv", callingNode, operation });
    const failure = failureInAnswer(await node.bus.request(subject, data, { timeoutMs: 60_000 }));
    return failure?.code ?? "done";
  };
  const payload = encode({ key: "k", value: new Uint8Array([1]) }, "msgpack");
  const wellFormed = { instanceId: "a", incarnation: 1, capabilityId: "store", payload };
  const call = (operation = "set", callingNode = "n1", other: object = {}) =>
    send(encode({ ...wellFormed, ...other }, "msgpack"), callingNode, operation);
  const assign = (permissions: string[]) =>
    node.ask("node.capability.assign", { instanceIds: ["a"], assignment: grant(permissions) });
  const revoke = () => node.ask("node.capability.revoke", { instanceIds: ["a"], capabilityId: "store" });
  return { node, clock, watch, provider, keep, letGo, hearBeforeAnswer, send, call, assign, revoke };
}

test("P4 P17: a call that overtakes the fact of its grant is served after its node was asked", async () => {
  const { keep, letGo, assign, call, watch } = await remoteProvider();
  keep();
  await assign(["kv:write"]);
  expect(watch.view.nodes.get("n1")?.instances.get("a")?.assignments.size).toBe(0);
  expect(await call()).toBe("done");
  letGo();
  expect(await call()).toBe("done");
});

test("P4: another node, another instance, another incarnation, and an operation beyond the grant are denied", async () => {
  const { assign, call } = await remoteProvider();
  await assign(["kv:write"]);
  expect(await call("set", "n2")).toBe("PERMISSION_DENIED");
  expect(await call("set", "n1", { instanceId: "b" })).toBe("PERMISSION_DENIED");
  expect(await call("set", "n1", { incarnation: 2 })).toBe("PERMISSION_DENIED");
  expect(await call("set", "n1", { capabilityId: "other" })).toBe("PERMISSION_DENIED");
  expect(await call("get")).toBe("PERMISSION_DENIED");
  expect(await call()).toBe("done");
});

test("P4: a copy whose place another has taken is refused, and one that yields in order is not", async () => {
  const { node, clock, watch, assign, call } = await remoteProvider();
  await assign(["kv:write"]);
  const spec = watch.view.nodes.get("n1")?.instances.get("a")?.spec;
  if (spec === undefined) throw new Error("the instance is not in the view");
  const { elsewhere } = speaksElsewhere(node, clock);
  elsewhere.state("instance.starting", { spec: { ...spec, incarnation: 2 }, restarts: 0 });
  expect(await call()).toBe("done");
  elsewhere.state("instance.running", { instanceId: "a", restarts: 0 });
  await clock.advance(1_000);
  expect(await call()).toBe("PERMISSION_DENIED");
  await node.ask("node.instance.yield", { instanceIds: ["a"] });
  expect(await call()).toBe("done");
});

test("P12 P17: a copy whose place is taken while its node is asked about its grants is refused", async () => {
  const { node, clock, watch, keep, letGo, hearBeforeAnswer, assign, call } = await remoteProvider();
  const spec = watch.view.nodes.get("n1")?.instances.get("a")?.spec;
  if (spec === undefined) throw new Error("the instance is not in the view");
  keep();
  await assign(["kv:write"]);
  const { bus, elsewhere } = speaksElsewhere(node, clock);
  elsewhere.state("instance.starting", { spec: { ...spec, incarnation: 2 }, restarts: 0 });
  elsewhere.state("instance.running", { instanceId: "a", restarts: 0 });
  await bus.flush();
  hearBeforeAnswer(async () => letGo());
  expect(await call()).toBe("PERMISSION_DENIED");
});

test("P18: malformed capability calls are INVALID_REQUEST each, and the next good one is served", async () => {
  const { assign, send, call } = await remoteProvider();
  await assign(["kv:write"]);
  const bad = [
    new Uint8Array(),
    new Uint8Array([0xc1]),
    encode([], "msgpack"),
    encode({}, "msgpack"),
    encode(
      { instanceId: "a", incarnation: 1.5, capabilityId: "store", payload: new Uint8Array() },
      "msgpack",
    ),
    encode({ instanceId: "a", incarnation: 1, capabilityId: "store", payload: "text" }, "msgpack"),
    encode(
      { instanceId: "a.*", incarnation: 1, capabilityId: "store", payload: new Uint8Array() },
      "msgpack",
    ),
  ];
  const codes = [];
  for (const data of bad) codes.push(await send(data, "n1", "set"));
  expect(codes).toEqual(bad.map(() => "INVALID_REQUEST"));
  expect(await call("constructor")).toBe("INVALID_REQUEST");
  expect(await call()).toBe("done");
});

test("P20: who calls a stopped provider is told at once that nobody listens", async () => {
  const { assign, call, provider, clock } = await remoteProvider();
  await assign(["kv:write"]);
  const inProgress = call();
  await provider.stop();
  const before = clock.now();
  await expect(call()).rejects.toMatchObject({ details: { noResponders: true } });
  expect(clock.now()).toBe(before);
  expect(["done", "COMMUNICATION_FAILURE"]).toContain(await inProgress);
});

test("R2.3: a revocation acts from the moment that its fact is heard", async () => {
  const { assign, revoke, call, clock } = await remoteProvider();
  await assign(["kv:write"]);
  expect(await call()).toBe("done");
  await revoke();
  await clock.advance(0);
  expect(await call()).toBe("PERMISSION_DENIED");
});

test("R2.3: an answer that was on its way when a revocation was heard is not believed", async () => {
  const { assign, revoke, call, keep, letGo, hearBeforeAnswer } = await remoteProvider();
  keep();
  await assign(["kv:write"]);
  let revoked = false;
  hearBeforeAnswer(async () => {
    if (revoked) return;
    revoked = true;
    await revoke();
    letGo();
  });
  expect(await call()).toBe("PERMISSION_DENIED");
  expect(await call()).toBe("PERMISSION_DENIED");
});
