import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

const examples = await buildExamples(["echo", "counter", "crasher"]);
const base64 = (name: keyof typeof examples) => readFileSync(examples[name].path).toString("base64");
const kvGrant = (permissions: string[]) => ({ capabilityId: "store", providerType: "kv", permissions });

describe("a lattice of one node, spoken to with nothing but a NATS connection and JSON", () => {
  let lattice: TestLattice;
  beforeAll(async () => {
    lattice = await startLattice();
    await lattice.controlPlane("cp1");
    await lattice.kvProvider("kv1");
    await lattice.node("n1");
  });
  afterAll(() => lattice[Symbol.asyncDispose]());

  test("P6, P10, P14: the whole life of an instance: start, call, query, restart, stop", async () => {
    const started = await lattice.command("instance.start", {
      module: { bytes: base64("counter") },
      name: "life",
      instanceId: "life-1",
      capabilities: [kvGrant(["kv:read", "kv:write"])],
    });
    expect(started).toMatchObject({
      ok: true,
      instances: [{ instanceId: "life-1", nodeId: "n1", name: "life", status: "running", incarnation: 1 }],
    });
    expect([await lattice.call("life", "increment"), await lattice.call("life-1", "increment")]).toEqual([
      "1",
      "2",
    ]);
    expect(await lattice.command("instance.query", { instanceId: "life-1" })).toMatchObject({
      ok: true,
      instance: { instanceId: "life-1", status: "running", restarts: 0, restartPolicy: { type: "never" } },
      view: { complete: true, gaps: [] },
    });
    expect(await lattice.command("instance.restart", { instanceId: "life-1" })).toMatchObject({ ok: true });
    // The store keeps what the instance does not, R1.5.
    expect(await lattice.call("life", "increment")).toBe("3");
    expect(await lattice.command("instance.stop", { instanceId: "life-1" })).toMatchObject({ ok: true });
    expect(await lattice.command("instance.query", { instanceId: "life-1" })).toMatchObject({
      instance: { status: "stopped" },
    });
    await expect(lattice.call("life-1", "get")).rejects.toMatchObject({ details: { noResponders: true } });
  });

  test("R15.2: a crash under `always` is followed by a restart, and both are facts", async () => {
    await lattice.command("instance.start", {
      module: { bytes: base64("crasher") },
      instanceId: "always-1",
      restartPolicy: { type: "always" },
    });
    expect(await lattice.call("always-1", "trap")).toMatchObject({ code: "GUEST_TRAPPED" });
    await vi.waitFor(async () => expect(await lattice.call("always-1", "ok")).toBe("ok"));
    // Its cell answers a moment before its node has said so.
    await vi.waitFor(async () =>
      expect(await lattice.command("instance.query", { instanceId: "always-1" })).toMatchObject({
        instance: {
          status: "running",
          restarts: 1,
          lastCrash: { reason: "trap", message: "divide by zero" },
        },
      }),
    );
    const { facts } = await lattice.command("fact.list", { instanceId: "always-1" });
    expect(facts.map((fact: { kind: string }) => fact.kind)).toEqual([
      "instance.starting",
      "instance.running",
      "instance.crashed",
      "instance.restarting",
      "instance.running",
    ]);
  });

  test("R15.1: under `never` a crashed instance stays crashed until somebody restarts it", async () => {
    await lattice.command("instance.start", { module: { bytes: base64("crasher") }, instanceId: "never-1" });
    await lattice.call("never-1", "trap");
    await vi.waitFor(async () =>
      expect(await lattice.command("instance.query", { instanceId: "never-1" })).toMatchObject({
        instance: { status: "crashed" },
      }),
    );
    expect(await lattice.command("instance.restart", { instanceId: "never-1" })).toMatchObject({ ok: true });
    expect(await lattice.call("never-1", "ok")).toBe("ok");
  });

  test("R15.2: `always` gives up on a guest that crashes in a hot loop, and says why", async () => {
    await lattice.command("instance.start", {
      module: { bytes: base64("crasher") },
      instanceId: "hot-1",
      restartPolicy: { type: "always" },
    });
    const { instance } = await vi.waitFor(
      async () => {
        await lattice.call("hot-1", "trap").catch(() => undefined);
        const answer = await lattice.command("instance.query", { instanceId: "hot-1" });
        expect(answer).toMatchObject({ instance: { status: "gave-up" } });
        return answer;
      },
      { timeout: 10_000, interval: 1 },
    );
    expect(instance.reason).toMatch(/crash/);
  });

  test("P4, R2.3, R2.5: a grant acts on the next call, and so does its revocation", async () => {
    const target = { instanceId: "grants-1" };
    await lattice.command("instance.start", {
      module: { bytes: base64("counter") },
      name: "grants",
      ...target,
    });
    expect(await lattice.call("grants", "increment")).toMatchObject({ code: "GUEST_ERROR" });
    const denied = await vi.waitFor(async () => {
      const { facts } = await lattice.command("fact.list", { ...target, kind: "capability.denied" });
      expect(facts).toHaveLength(1);
      return facts[0].data;
    });
    expect(denied).toMatchObject({ permission: "kv:write", capabilityId: "store" });
    expect(denied.fix).toMatch(/wasmatrix assign grants store=kv:write/);
    expect(
      await lattice.command("capability.assign", { ...target, assignment: kvGrant(["kv:read", "kv:write"]) }),
    ).toMatchObject({ ok: true });
    expect(await lattice.call("grants", "increment")).toBe("1");
    expect(await lattice.command("capability.list", target)).toMatchObject({
      assignments: [{ instanceId: "grants-1", capabilityId: "store", permissions: ["kv:read", "kv:write"] }],
    });
    expect(await lattice.command("capability.revoke", { ...target, capabilityId: "store" })).toMatchObject({
      ok: true,
    });
    expect(await lattice.call("grants", "increment")).toMatchObject({ code: "GUEST_ERROR" });
    expect(await lattice.command("capability.list", target)).toMatchObject({ assignments: [] });
  });

  test("P19, R14.5: instances of different names do not see each other's data", async () => {
    for (const name of ["mine", "yours"]) {
      await lattice.command("instance.start", {
        module: { bytes: base64("counter") },
        name,
        capabilities: [kvGrant(["kv:read", "kv:write"])],
      });
    }
    await lattice.call("mine", "increment", "5");
    expect([await lattice.call("mine", "get"), await lattice.call("yours", "get")]).toEqual(["5", "0"]);
  });

  test("R13.1: a repeated command has one effect and gets the first answer", async () => {
    const command = { module: { bytes: base64("echo") }, name: "once", count: 3, commandId: "once-1" };
    const first = await lattice.command("instance.start", command);
    expect(await lattice.command("instance.start", command)).toEqual(first);
    const { instances } = await lattice.command("instance.list", { name: "once" });
    expect(instances).toHaveLength(3);
  });

  test.each([
    ["an unknown field", "instance.stop", { instanceId: "a", force: true }, "INVALID_REQUEST", /force/],
    ["a wildcard for an id", "instance.query", { instanceId: "*" }, "INVALID_REQUEST", /instanceId/],
    ["65 characters", "instance.query", { instanceId: "a".repeat(65) }, "INVALID_REQUEST", /instanceId/],
    ["an empty id", "instance.query", { instanceId: "" }, "INVALID_REQUEST", /instanceId/],
    ["an unknown instance", "instance.stop", { instanceId: "nobody" }, "INSTANCE_NOT_FOUND", /nobody/],
    ["no target", "instance.stop", {}, "INVALID_REQUEST", /instanceId or name/],
    [
      "an unknown module",
      "instance.start",
      { module: { digest: `sha256:${"0".repeat(64)}` } },
      "MODULE_NOT_FOUND",
      /sha256/,
    ],
    ["bytes that are no module", "instance.start", { module: { bytes: "AAAA" } }, "INVALID_MODULE", /./],
    [
      "an unknown permission",
      "instance.start",
      { module: { bytes: "AAAA" }, capabilities: [kvGrant(["kv:fly"])] },
      "INVALID_REQUEST",
      /kv:fly|unknown permission/,
    ],
    [
      "a label that no node has",
      "instance.start",
      { module: { bytes: "AGFzbQEAAAA=" }, requires: { zone: "moon" } },
      "RESOURCE_EXHAUSTED",
      /zone|moon/,
    ],
  ])("P18, R13.6: %s is refused with a code and a way out", async (_what, verb, payload, code, message) => {
    const answer = await lattice.command(verb, payload);
    expect(answer).toMatchObject({ ok: false, error: { code } });
    expect(`${answer.error?.message} ${JSON.stringify(answer.error?.details ?? {})}`).toMatch(message);
  });

  test("P18: what is neither JSON nor MessagePack is refused", async () => {
    for (const bytes of [new Uint8Array(), new TextEncoder().encode('{"a":'), new Uint8Array([0xc1])]) {
      const reply = await lattice.bus.request("wasmatrix.ctl.v1.default.instance.list", bytes, {
        timeoutMs: 5_000,
      });
      expect(new TextDecoder().decode(reply.data)).toMatch(/INVALID_REQUEST/);
    }
  });

  test("a duplicate instance id is refused, and so is stopping a stopped one", async () => {
    const start = { module: { bytes: base64("echo") }, instanceId: "twice" };
    expect(await lattice.command("instance.start", start)).toMatchObject({ ok: true });
    expect(await lattice.command("instance.start", start)).toMatchObject({
      error: { code: "INSTANCE_EXISTS" },
    });
    await lattice.command("instance.stop", { instanceId: "twice" });
    expect(await lattice.command("instance.stop", { instanceId: "twice" })).toMatchObject({
      error: { code: "INSTANCE_UNAVAILABLE" },
    });
  });
});

test(
  "R8.1, R3.5, P2: engine and control plane may die under 1,000 instances",
  { timeout: 60_000 },
  async () => {
    await using lattice = await startLattice();
    const first = await lattice.controlPlane("cp1");
    await lattice.node("n1");
    const started = await lattice.command("instance.start", {
      module: { bytes: base64("echo") },
      name: "many",
      count: 1_000,
      restartPolicy: { type: "backoff", maxRetries: 7 },
    });
    expect(started["instances"]).toHaveLength(1_000);
    const ids: string[] = started["instances"].map((one: { instanceId: string }) => one.instanceId);

    await first.stop();
    expect(await lattice.call(ids[0] as string, "go", "still here")).toBe("still here");
    await lattice.controlPlane("cp2");
    const listed = await lattice.command("instance.list", { name: "many", limit: 1_000 });
    expect(listed).toMatchObject({ view: { complete: true, gaps: [] } });
    expect(listed["instances"].map((one: { instanceId: string }) => one.instanceId).toSorted()).toEqual(
      ids.toSorted(),
    );
    expect(await lattice.command("instance.query", { instanceId: ids[7] })).toMatchObject({
      instance: { restartPolicy: { type: "backoff", maxRetries: 7 } },
    });

    const { facts } = await lattice.command("fact.list", { kind: "engine.started" });
    const pid = facts.at(-1)?.data.pid ?? (await enginePid());
    process.kill(pid, "SIGABRT");
    await vi.waitFor(
      async () => {
        // A call that reached the engine while it died is answered by nobody: its patience is short.
        const answers = await Promise.all(ids.map((id) => lattice.call(id, "go", "back", 300)));
        expect(new Set(answers)).toEqual(new Set(["back"]));
      },
      { timeout: 30_000, interval: 10 },
    );
    const lost = await lattice.command("fact.list", { kind: "engine.lost" });
    expect(lost["facts"]).toMatchObject([
      { data: { instances: 1_000, reason: expect.stringContaining("SIGABRT") } },
    ]);
    await vi.waitFor(async () =>
      expect(await lattice.command("instance.query", { instanceId: ids[0] })).toMatchObject({
        instance: { status: "running", restarts: 0 },
      }),
    );
  },
);

/** A control plane that came later has not heard of the engine's start: ask the machine. */
async function enginePid(): Promise<number> {
  const { execFileSync } = await import("node:child_process");
  const found = execFileSync("pgrep", ["-P", String(process.pid), "-f", "engine-main"], { encoding: "utf8" });
  return Number(found.trim().split("\n")[0]);
}
