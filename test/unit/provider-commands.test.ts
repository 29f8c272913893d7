import { expect, test } from "vitest";
import { createProviderCatalog } from "../../actors/provider/provider-catalog.ts";
import type { ProviderKind, ProviderWorld } from "../../actors/provider/provider-kind.ts";
import type { QuestionOf } from "../../src/bus/ask.ts";
import type { Capability, GrantHolder } from "../../src/capabilities/capability.ts";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import { providerLifeLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { nodeUnderTest } from "../support/node-under-test.ts";

/** A node whose one kind of provider does what the test says. */
async function hosting() {
  const made: ProviderWorld[] = [];
  const holders: (readonly GrantHolder[])[] = [];
  const behaviour: { create: () => Promise<Partial<Capability>> } = { create: async () => ({}) };
  const kind = (name: string, providerType: string): ProviderKind => ({
    kind: name,
    providerType,
    describe: "",
    backends: new Map([
      [
        "memory",
        {
          describe: "",
          async create(world) {
            const extra = await behaviour.create();
            made.push(world);
            return {
              ...createMemoryKv(),
              granted: (list) => void holders.push(list),
              ...extra,
            };
          },
        },
      ],
    ]),
  });
  const catalog = createProviderCatalog([kind("kv", "kv"), kind("liar", "other")]);
  const node = await nodeUnderTest({ catalog });
  const done = (
    name: "node.provider.start" | "node.provider.stop" | "node.provider.update",
    question: object,
  ) =>
    node.ask(name, question as QuestionOf<typeof name>).then(
      (answer) => (answer as unknown as { provider: Record<string, unknown> }).provider,
      (failure: Failure) => `${failure.code}: ${failure.message}`,
    );
  const said = () =>
    node.facts.flatMap(({ kind: about, cause }) =>
      about.startsWith("provider.")
        ? [`${about.slice("provider.".length)}${cause === undefined ? "" : ` (${cause})`}`]
        : [],
    );
  return { node, made, holders, behaviour, done, said };
}

test("R16.1, R9.1: a node tells what it can host, and states what becomes of a command under its id", async () => {
  const { node, done, said } = await hosting();
  expect(node.facts[0]).toMatchObject({
    kind: "node.joined",
    data: {
      providerKinds: [
        { kind: "kv", backends: ["memory"] },
        { kind: "liar", backends: ["memory"] },
      ],
    },
  });
  expect(await done("node.provider.start", { provider: "kv", kind: "kv", commandId: "c7" })).toMatchObject({
    provider: "kv",
    nodeId: "n1",
    status: "available",
    restarts: 0,
  });
  await node.clock.advance(0);
  expect(said()).toEqual(["starting (c7)", "available (c7)"]);
});

test("R13.1: a start that is repeated under its id changes nothing, another one is refused, and two at once are one", async () => {
  const { done, made } = await hosting();
  const start = { provider: "a", kind: "kv", commandId: "c1" };
  const answers = await Promise.all([
    done("node.provider.start", start),
    done("node.provider.start", start),
    done("node.provider.start", { ...start, commandId: "c2" }),
  ]);
  expect(answers).toEqual([
    expect.objectContaining({ status: "available" }),
    expect.objectContaining({ status: "available" }),
    "INVALID_REQUEST: node n1 has a provider a already",
  ]);
  expect(made).toHaveLength(1);
});

test("R16: one that cannot be made is refused with the reason, and gone again; its name can be used", async () => {
  const { node, behaviour, done, said } = await hosting();
  behaviour.create = () => Promise.reject(new Failure("COMMUNICATION_FAILURE", "no server there"));
  expect(await done("node.provider.start", { provider: "a", kind: "kv" })).toBe(
    "COMMUNICATION_FAILURE: no server there",
  );
  await node.clock.advance(600_000);
  expect(said()).toEqual(["starting", "failed", "stopped"]);
  behaviour.create = async () => ({});
  expect(await done("node.provider.start", { provider: "a", kind: "kv" })).toMatchObject({
    status: "available",
  });
});

test("R16: one whose type is not what it said is refused", async () => {
  const { done } = await hosting();
  expect(await done("node.provider.start", { provider: "a", kind: "liar" })).toMatch(
    /^INVALID_REQUEST: what was made is of the type kv, not other/,
  );
});

test("R16: one that breaks is started again, its restarts are told, and given up it is visible and can be replaced", async () => {
  const { node, made, behaviour, done, said } = await hosting();
  await done("node.provider.start", { provider: "a", kind: "kv" });
  made[0]?.broken("its disk is full");
  await node.clock.advance(1_000);
  expect(node.agent).toBeDefined();
  expect(said()).toEqual(["starting", "available", "failed", "starting", "available"]);
  expect(node.facts.at(-1)).toMatchObject({ data: { provider: "a", restarts: 1 } });

  behaviour.create = () => Promise.reject(new Failure("PROVIDER_UNAVAILABLE", "still full"));
  made[1]?.broken("its disk is full again");
  await node.clock.advance(4 * 3_600_000);
  expect(said().filter((one) => one === "failed")).toHaveLength(2 + providerLifeLimits.restartsMax - 1);
  expect(node.facts.at(-1)).toMatchObject({
    kind: "provider.gave-up",
    data: {
      provider: "a",
      restarts: providerLifeLimits.restartsMax,
      reason: expect.stringContaining("still full"),
    },
  });

  expect(await done("node.provider.update", { provider: "a" })).toBe("PROVIDER_UNAVAILABLE: still full");
  behaviour.create = async () => ({});
  expect(await done("node.provider.update", { provider: "a" })).toMatchObject({ status: "available" });
});

test("R16.2: one that waits for its next life is stopped as well", async () => {
  const { node, made, behaviour, done } = await hosting();
  await done("node.provider.start", { provider: "a", kind: "kv" });
  behaviour.create = () => Promise.reject(new Failure("PROVIDER_UNAVAILABLE", "gone"));
  made[0]?.broken("gone");
  await node.clock.advance(0);
  expect(await done("node.provider.stop", { provider: "a" })).toMatchObject({ status: "stopped" });
  const before = node.facts.length;
  await node.clock.advance(600_000);
  expect(node.facts.length).toBe(before);
  expect(await done("node.provider.stop", { provider: "b" })).toMatch(/^PROVIDER_NOT_FOUND/);
});

test("R16.4: an update keeps the type and the name, and takes its settings as a whole", async () => {
  const { made, done } = await hosting();
  await done("node.provider.start", { provider: "a", kind: "kv" });
  expect(await done("node.provider.update", { provider: "a", kind: "liar" })).toMatch(
    /cannot become one of type other/,
  );
  expect(await done("node.provider.update", { provider: "a", backend: "tape" })).toMatch(/^INVALID_REQUEST/);
  expect(made).toHaveLength(1);
  expect(await done("node.provider.update", { provider: "a" })).toMatchObject({ status: "available" });
  expect(made).toHaveLength(2);
});

test("R16.4: the new one knows every grant before it serves", async () => {
  const { node, holders, done } = await hosting();
  await done("node.provider.start", { provider: "kv", kind: "kv" });
  await node.putModule();
  const grant = { capabilityId: "store", providerType: "kv", permissions: ["kv:read"] };
  await node.start(["x"], { capabilities: [grant] });
  await node.clock.advance(0);
  expect(holders.at(-1)).toMatchObject([{ instanceId: "x", nodeId: "n1", capabilityId: "store" }]);
  const told = holders.length;
  await done("node.provider.update", { provider: "kv" });
  expect(holders[told]).toMatchObject([{ instanceId: "x" }]);
});

test("R16: a node that leaves stops its providers, each with its fact, and takes no more", async () => {
  const { node, behaviour, done, said } = await hosting();
  const closed: string[] = [];
  behaviour.create = async () => ({ close: async () => void closed.push("a") });
  await done("node.provider.start", { provider: "a", kind: "kv" });
  const stopping = node.stop();
  const late = done("node.provider.start", { provider: "b", kind: "kv" });
  await stopping;
  expect(await late).toMatch(/^(NODE_UNAVAILABLE|COMMUNICATION_FAILURE)/);
  await node.clock.advance(0);
  expect(said()).toEqual(["starting", "available", "draining", "stopped"]);
  expect(closed).toEqual(["a"]);
});
