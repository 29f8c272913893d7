import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import { errorCodes } from "../../src/protocol/errors.ts";
import { subjects } from "../../src/protocol/subjects.ts";
import { anyRequest } from "../support/hostile-requests.ts";
import { countingModule, done } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

const target = { instanceId: "victim" };
const named = { name: "victims" };
const digest = `sha256:${"0".repeat(64)}`;
const assignment = {
  capabilityId: "store",
  providerType: "kv",
  permissions: ["kv:read"],
  config: { bucket: "b" },
};

/** Commands that are right, for each verb of the table; what is sent are these with mistakes in them. */
const valid: Record<string, object[]> = {
  "instance.start": [
    { module: countingModule, ...named, count: 2, restartPolicy: { type: "backoff", delayMs: 1 } },
    {
      module: { digest },
      ...target,
      capabilities: [assignment],
      config: { a: "b" },
      requires: { zone: "a" },
    },
    { module: countingModule, limits: { fuel: 1_000, mailbox: 1 }, wait: "accepted", commandId: "once" },
  ],
  "instance.stop": [target, named],
  "instance.restart": [target, named],
  "instance.relocate": [target, { ...target, nodeId: "n1" }],
  "instance.scale": [{ ...named, count: 1 }],
  "instance.query": [target],
  "instance.list": [{}, { ...named, all: true, limit: 3, after: "a" }, { nodeId: "n1" }],
  "capability.assign": [
    { ...target, assignment },
    { ...named, assignment, commandId: "again" },
  ],
  "capability.revoke": [{ ...target, capabilityId: "store" }],
  "capability.audit": [target, named],
  "capability.list": [{}, { ...target, limit: 1, after: "a" }],
  "node.list": [{}],
  "provider.start": [
    { provider: "other", kind: "kv", backend: "memory", nodeId: "n1" },
    { provider: "third", kind: "kv", requires: { zone: "a" }, commandId: "third" },
    { provider: "fourth", kind: "module:clock.ts", config: { zone: "UTC" } },
  ],
  "provider.stop": [{ provider: "other" }, { provider: "third", nodeId: "n1", commandId: "over" }],
  "provider.update": [
    { provider: "kv" },
    { provider: "kv", kind: "kv", backend: "memory", config: {}, nodeId: "kv1" },
  ],
  "node.drain": [{ nodeId: "n2" }, { nodeId: "n2", timeoutMs: 10 }],
  "node.resume": [{ nodeId: "n1" }],
  "node.label": [{ nodeId: "n1", labels: { zone: "b", other: null } }],
  "provider.list": [{}],
  "module.put": [countingModule, { digest, sizeBytes: 8, offset: 0, bytes: "AGFzbQ==" }],
  "module.list": [{}],
  "fact.list": [{ limit: 5, ...target, nodeId: "n1", kind: "instance.running" }],
};
const verbs = Object.keys(subjects).filter((name) => name.startsWith("ctl."));

describe("P18, R13.5, R13.6: whatever is sent as a command is answered within 5 s: done, or refused with a code and a message", () => {
  let lattice: TestLattice;
  beforeAll(async () => {
    lattice = await startLattice();
    await lattice.controlPlane("cp1");
    await lattice.kvProvider("kv1");
    await lattice.node("n1", { zone: "a" });
    await done(lattice, "instance.start", { module: countingModule, instanceId: "witness" });
  });
  afterAll(() => lattice[Symbol.asyncDispose]());

  test.each(verbs.map((name) => name.slice("ctl.".length)))("%s", async (verb) => {
    const subject = `wasmatrix.ctl.v1.default.${verb}`;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(anyRequest(valid[verb]!), async (bytes) => {
        const reply = await lattice.bus.request(subject, bytes, { timeoutMs: 5_000 });
        const answer = decode(reply.data).value as { ok: unknown; error?: Record<string, unknown> };
        if (answer.ok === true) return;
        refused += 1;
        expect(answer).toEqual({ ok: false, error: expect.anything() });
        expect(Object.keys(errorCodes)).toContain(answer.error?.["code"]);
        // A bug of ours is an answer, too, but not to a request that was merely wrong.
        expect(answer.error?.["code"], String(answer.error?.["message"])).not.toBe("INTERNAL_ERROR");
        expect(answer.error?.["message"]).toMatch(/\S/);
        expect(answer.error?.["timestamp"]).toMatch(/^\d{4}-\d\d-\d\dT/);
        expect(["never", "later", "elsewhere"]).toContain(answer.error?.["retry"]);
      }),
      { numRuns: 100 },
    );
    expect(refused).toBeGreaterThan(10);
    // The lattice still answers, and what nobody named has not changed.
    const { instances, view } = await done(lattice, "instance.list", { instanceId: "witness" });
    expect(instances).toMatchObject([
      { instanceId: "witness", status: "running", restarts: 0, incarnation: 1 },
    ]);
    expect(view).toMatchObject({ complete: true, gaps: [] });
  });

  test("the instance that nobody named has kept its memory through all of it", async () => {
    expect(await lattice.call("witness", "count")).toBe("1");
  });
});
