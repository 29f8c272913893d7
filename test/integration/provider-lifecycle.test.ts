import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import { hearFacts } from "../support/lattice-facts.ts";
import { done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

const { counter, "what-time": whatTime } = await buildExamples(["counter", "what-time"]);
const module = { bytes: readFileSync(counter.path).toString("base64") };

let lattice: TestLattice;
beforeAll(async () => {
  lattice = await startLattice({ jetstream: true, providerModules: "examples/provider-clock" });
  await lattice.controlPlane("cp1");
  await lattice.node("n1", { zone: "a" });
  await lattice.node("n2", { zone: "b" });
});
afterAll(() => lattice[Symbol.asyncDispose]());

const list = async (provider: string) =>
  (await done(lattice, "provider.list", {}))["providers"].filter(
    (one: { provider: string }) => one.provider === provider,
  );
const kvGrant = (provider: string, permissions = ["kv:read", "kv:write"]) => ({
  capabilityId: "store",
  providerType: "kv",
  provider,
  permissions,
});
const startCounter = async (provider: string) => {
  const name = freshId("counter");
  await done(lattice, "instance.start", { module, name, capabilities: [kvGrant(provider)] });
  return name;
};
const kindsOf = (facts: readonly Fact[], provider: string) =>
  facts
    .filter(
      ({ kind, data }) =>
        kind.startsWith("provider.") && (data as { provider?: string }).provider === provider,
    )
    .map(({ kind }) => kind.slice("provider.".length));

describe("providers inside nodes", () => {
  test("R16.1, R16.2, P20: one is started, serves the guests that were granted it, and once stopped they are told at once", async () => {
    const provider = freshId("kv");
    const heard = await hearFacts(lattice);
    const { providers } = await done(lattice, "provider.start", {
      provider,
      kind: "kv",
      requires: { zone: "b" },
    });
    expect(providers).toEqual([
      {
        provider,
        providerType: "kv",
        nodeId: "n2",
        status: "available",
        kind: "kv",
        backend: "memory",
        version: expect.any(String),
        since: expect.any(String),
        restarts: 0,
      },
    ]);
    expect(await list(provider)).toEqual(providers);
    const [one, other] = [await startCounter(provider), await startCounter(provider)];
    expect(await lattice.call(one, "increment", "2")).toBe("2");

    // Nobody's stop takes it from others.
    await done(lattice, "instance.stop", { name: one });
    expect(await lattice.call(other, "increment", "3")).toBe("3");

    const stopped = await done(lattice, "provider.stop", { provider });
    expect(stopped["providers"]).toMatchObject([{ provider, nodeId: "n2", status: "stopped" }]);
    const before = performance.now();
    const refused = await lattice.call(other, "increment", "3");
    expect(refused).toMatchObject({
      code: "GUEST_ERROR",
      message: expect.stringContaining("PROVIDER_UNAVAILABLE"),
    });
    expect(performance.now() - before).toBeLessThan(1_000);
    expect((await done(lattice, "instance.list", { name: other }))["instances"]).toMatchObject([
      { status: "running", restarts: 0 },
    ]);

    await done(lattice, "provider.start", { provider, kind: "kv", nodeId: "n1" });
    expect(await lattice.call(other, "increment", "4")).toBe("4");
    expect(kindsOf(heard.all, provider)).toEqual([
      "starting",
      "available",
      "draining",
      "stopped",
      "starting",
      "available",
    ]);
    heard.stop();
  });

  test(
    "R16.4: while a provider is replaced twenty times under load, no call fails, and what is durable stays",
    { timeout: 60_000 },
    async () => {
      const provider = freshId("kv");
      await done(lattice, "provider.start", { provider, kind: "kv", backend: "nats" });
      const heard = await hearFacts(lattice);
      const name = await startCounter(provider);
      const outcomes: unknown[] = [];
      let goesOn = true;
      const load = Array.from({ length: 8 }, async () => {
        while (goesOn) outcomes.push(await lattice.call(name, "increment", "1"));
      });
      for (let round = 0; round < 20; round += 1) {
        const updated = await done(lattice, "provider.update", { provider });
        expect(updated["providers"]).toMatchObject([
          { provider, status: "available", backend: "nats", restarts: 0 },
        ]);
        const before = outcomes.length;
        await vi.waitFor(() => expect(outcomes.length).toBeGreaterThan(before + 5), {
          timeout: 10_000,
          interval: 1,
        });
      }
      goesOn = false;
      await Promise.all(load);
      expect(outcomes.filter((one) => typeof one !== "string")).toEqual([]);
      expect(await lattice.call(name, "get")).toBe(String(outcomes.length));
      expect(kindsOf(heard.all, provider)).toEqual(Array.from({ length: 20 }, () => "updated"));
      heard.stop();
    },
  );

  test("R16.4: an update that cannot come up is refused with the reason and without the password, and the old one serves on", async () => {
    const provider = freshId("kv");
    const heard = await hearFacts(lattice);
    await done(lattice, "provider.start", { provider, kind: "kv" });
    const name = await startCounter(provider);
    expect(await lattice.call(name, "increment", "7")).toBe("7");
    const url = "redis://:hunter2@127.0.0.1:1";
    const refused = await lattice.command("provider.update", { provider, backend: "redis", config: { url } });
    expect(refused).toMatchObject({ ok: false, error: { code: "COMMUNICATION_FAILURE" } });
    expect(await lattice.call(name, "get")).toBe("7");
    const also = await lattice.command("provider.start", {
      provider: `${provider}-2`,
      kind: "kv",
      backend: "redis",
      config: { url },
    });
    expect(also).toMatchObject({ ok: false, error: { code: "COMMUNICATION_FAILURE" } });
    expect(await list(`${provider}-2`)).toMatchObject([{ status: "stopped" }]);
    expect(kindsOf(heard.all, `${provider}-2`)).toEqual(["starting", "failed", "stopped"]);
    const everything = JSON.stringify([refused, also, heard.all, await done(lattice, "provider.list", {})]);
    expect(everything).not.toContain("hunter2");
    heard.stop();
  });

  test("R16, P4: a provider of one's own type is started from its file, and asked under the permissions of that type", async () => {
    const instanceId = freshId("reader");
    const bytes = readFileSync(whatTime.path).toString("base64");
    const granted = (permission: string) => ({
      capabilityId: "watch",
      providerType: "clock",
      permissions: [permission],
    });
    const early = await lattice.command("instance.start", {
      module: { bytes },
      instanceId,
      capabilities: [granted("clock:now")],
    });
    expect(early.error).toMatchObject({
      code: "INVALID_REQUEST",
      message: "there is no provider type clock",
    });

    const file = "module:clock.ts";
    const started = await done(lattice, "provider.start", {
      provider: "clock",
      kind: file,
      config: { zone: "Asia/Tokyo" },
      nodeId: "n2",
    });
    expect(started["providers"]).toMatchObject([{ provider: "clock", providerType: "clock", kind: file }]);
    await done(lattice, "instance.start", {
      module: { bytes },
      instanceId,
      requires: { zone: "a" },
      capabilities: [granted("clock:now")],
    });
    const now = async () => {
      const answer = await lattice.call(instanceId, "now");
      return typeof answer === "string" ? (JSON.parse(answer) as object) : answer;
    };
    expect(await now()).toEqual({ ms: expect.any(Number), zone: "Asia/Tokyo", text: expect.any(String) });
    await done(lattice, "provider.update", { provider: "clock", config: { zone: "UTC" } });
    expect(await now()).toMatchObject({ zone: "UTC" });
    const refused = await lattice.command("provider.update", { provider: "clock", config: { zone: "Moon" } });
    expect(refused.error).toMatchObject({
      code: "INVALID_REQUEST",
      message: "config.zone is not a time zone",
    });
    await done(lattice, "capability.assign", { instanceId, assignment: granted("clock:set") });
    expect(await now()).toMatchObject({ code: "GUEST_ERROR", message: expect.stringContaining("clock:now") });
    await done(lattice, "capability.assign", { instanceId, assignment: granted("clock:*") });
    expect(await now()).toMatchObject({ zone: "UTC" });
  });
});

describe("P18: before anything is done", () => {
  const refusal = async (verb: string, payload: object) => {
    const { error } = await lattice.command(verb, payload);
    return `${error?.code}: ${error?.message} ${error?.fix}`;
  };
  beforeAll(() => done(lattice, "provider.start", { provider: "taken", kind: "kv" }));

  test.each<[string, object, RegExp]>([
    ["an unknown kind", { kind: "smtp" }, /^INVALID_REQUEST: .*"smtp".*There are: blobstore, http, /],
    ["an unknown backend", { kind: "kv", backend: "etcd" }, /^INVALID_REQUEST: .*etcd.*memory, nats, redis/],
    ["a name in use", { kind: "kv", provider: "taken" }, /^INVALID_REQUEST: the name taken is in use/],
    ["the name of another type", { kind: "kv", provider: "http" }, /^INVALID_REQUEST: http is the name/],
    ["an unknown node", { kind: "kv", nodeId: "n9" }, /^NODE_NOT_FOUND: .*n9/],
    ["labels that no node has", { kind: "kv", requires: { zone: "z" } }, /^RESOURCE_EXHAUSTED: .*zone=z/],
    ["a setting that there is not", { kind: "kv", config: { size: "1" } }, /^INVALID_REQUEST: .*"size"/],
    ["a file that is not in the folder", { kind: "module:../clock.ts" }, /^INVALID_REQUEST: .*no such file/],
  ])("a start with %s is refused", async (_what, payload, expected) => {
    const before = await done(lattice, "provider.list", {});
    const provider = freshId("new");
    expect(await refusal("provider.start", { provider, ...payload })).toMatch(expected);
    expect((await done(lattice, "provider.list", {}))["providers"]).toEqual(before["providers"]);
  });

  test("a stop or an update of what is not there, or is stopped, says which of both it is", async () => {
    for (const verb of ["provider.stop", "provider.update"]) {
      expect(await refusal(verb, { provider: "nobody" })).toMatch(/^PROVIDER_NOT_FOUND: .*nobody/);
      expect(await refusal(verb, { provider: "taken", nodeId: "n9" })).toMatch(/^NODE_NOT_FOUND/);
    }
    const provider = freshId("over");
    await done(lattice, "provider.start", { provider, kind: "kv" });
    expect(await refusal("provider.update", { provider, kind: "http" })).toMatch(
      /cannot become one of type http/,
    );
    await done(lattice, "provider.stop", { provider });
    for (const verb of ["provider.stop", "provider.update"])
      expect(await refusal(verb, { provider })).toMatch(
        /^PROVIDER_UNAVAILABLE: provider over-\w+ is stopped/,
      );
  });

  test("R13.1: a repeated start has one effect and gets the first answer", async () => {
    const command = { provider: freshId("once"), kind: "kv", commandId: freshId("command") };
    const first = await done(lattice, "provider.start", command);
    expect(await done(lattice, "provider.start", command)).toEqual(first);
    expect(await refusal("provider.start", { ...command, commandId: freshId("command") })).toMatch(/in use/);
  });

  test.each<[string, object, RegExp]>([
    [
      "an unknown type",
      { providerType: "smtp", permissions: ["smtp:send"] },
      /^INVALID_REQUEST: .*smtp.*blobstore, /,
    ],
    ["an unknown provider", kvGrant("nobody"), /^INVALID_REQUEST: no provider nobody is known/],
    [
      "a provider of another type",
      { ...kvGrant("taken"), providerType: "http", permissions: ["http:request"] },
      /^INVALID_REQUEST: provider taken is of type kv/,
    ],
    ["a permission of another type", kvGrant("taken", ["http:request"]), /^INVALID_REQUEST: .*kv:read/],
    ["no permission", kvGrant("taken", []), /^INVALID_REQUEST: .*must grant something/],
  ])("a grant of %s is refused, to a start and to an instance", async (_what, given, expected) => {
    const assignment = { capabilityId: "store", ...given };
    const instanceId = freshId("none");
    expect(await refusal("instance.start", { module, instanceId, capabilities: [assignment] })).toMatch(
      expected,
    );
    expect((await lattice.command("instance.query", { instanceId })).error?.code).toBe("INSTANCE_NOT_FOUND");
    await done(lattice, "instance.start", { module, instanceId });
    expect(await refusal("capability.assign", { instanceId, assignment })).toMatch(expected);
    expect((await done(lattice, "capability.list", { instanceId }))["assignments"]).toEqual([]);
  });
});
