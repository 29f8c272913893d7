import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { randomId } from "../../src/chance.ts";
import { directoryLimits } from "../../src/limits.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { countingModule, done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

let etcd: EtcdServer;
let lattice: TestLattice;
beforeAll(async () => {
  etcd = await startEtcd();
  lattice = await startLattice({ etcd: etcd.url });
  await lattice.controlPlane("cp1");
  await lattice.node("n1", { zone: "a" });
  await lattice.node("n2", { zone: "b" });
  await lattice.kvProvider("kv1");
});
afterAll(async () => {
  await lattice[Symbol.asyncDispose]();
  await etcd[Symbol.asyncDispose]();
});

const operations = [
  "start",
  "stop",
  "restart",
  "call",
  "crash",
  "assign",
  "revoke",
  "relocate",
  "label",
  "host",
  "lease lost",
] as const;

test(
  "P11, R7.1-5: whatever is done, etcd is only ever told which nodes there are and what their providers are",
  { timeout: 120_000 },
  async () => {
    const secrets = new Set<string>();
    const counts = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...operations), { minLength: 1, maxLength: 8 }),
        async (workload) => {
          // Whatever belongs to instances can be told by its name.
          const secret = `secret${randomId(8)}`;
          secrets.add(secret);
          const instanceId = freshId(secret);
          await begin(instanceId, secret);
          for (const operation of workload) {
            await perform(operation, instanceId, secret);
            counts.set(operation, (counts.get(operation) ?? 0) + 1);
          }
          await lattice.command("instance.stop", { instanceId });
        },
      ),
      { numRuns: 100 },
    );
    expect(operations.filter((operation) => !counts.has(operation))).toEqual([]);

    const history = await etcd.history();
    const kinds = { node: 0, provider: 0, deleted: 0 };
    for (const { type, key, value } of history) {
      for (const secret of secrets) expect(`${key} ${value}`).not.toContain(secret);
      if (type === "DELETE") {
        expect(key).toMatch(/^\/wasmatrix\/default\/(nodes\/[\w-]+|providers\/kv\/[\w-]+)$/);
        kinds.deleted += 1;
      } else kinds[expectRecord(key, JSON.parse(value))] += 1;
    }
    // Without these the property would say little.
    expect(kinds.node).toBeGreaterThan(3);
    expect(kinds.provider).toBeGreaterThan(2);
    expect(kinds.deleted).toBeGreaterThan(1);
    const { nodes } = await lattice.command("node.list", {});
    const living = nodes.filter((node: { status: string }) => node.status === "alive");
    const keys = living.map((node: { nodeId: string }) => `/wasmatrix/default/nodes/${node.nodeId}`);
    // A lease that was just lost is granted again at its next renewal.
    await vi.waitFor(
      async () =>
        expect([...(await etcd.all()).keys()].filter((key) => key.includes("/nodes/"))).toEqual(keys),
      { timeout: 2 * directoryLimits.renewMs },
    );
  },
);

/** One of the two shapes there are, with these fields and no other. */
function expectRecord(key: string, record: object): "node" | "provider" {
  const [, nodeId] = /^\/wasmatrix\/default\/nodes\/([\w-]+)$/.exec(key) ?? [];
  if (nodeId !== undefined) {
    expect(record).toEqual({
      nodeId,
      epoch: expect.any(Number),
      hostname: expect.any(String),
      labels: expect.any(Object),
      productVersion: expect.any(String),
    });
    return "node";
  }
  expect(key).toMatch(/^\/wasmatrix\/default\/providers\/kv\/[\w-]+$/);
  expect(record).toEqual({ providerType: "kv", backend: "memory", version: expect.any(String) });
  return "provider";
}

function begin(instanceId: string, secret: string): Promise<unknown> {
  return done(lattice, "instance.start", {
    module: countingModule,
    instanceId,
    name: secret,
    config: { secret },
    restartPolicy: { type: "always" },
    onNodeLoss: "relocate",
    capabilities: [
      { capabilityId: "store", providerType: "kv", permissions: ["kv:read"], config: { bucket: secret } },
    ],
  });
}

/** Some are refused, for the instance is stopped; refusals are to leave no trace either. */
async function perform(
  operation: (typeof operations)[number],
  instanceId: string,
  secret: string,
): Promise<void> {
  if (operation === "start") await lattice.command("instance.start", { module: countingModule, instanceId });
  else if (operation === "stop" || operation === "restart" || operation === "relocate")
    await lattice.command(`instance.${operation}`, { instanceId });
  else if (operation === "call" || operation === "crash")
    await lattice.call(instanceId, operation === "call" ? secret : "trap", secret).catch(() => undefined);
  else if (operation === "assign") {
    const assignment = {
      capabilityId: "more",
      providerType: "kv",
      permissions: ["kv:write"],
      config: { bucket: secret },
    };
    await lattice.command("capability.assign", { instanceId, assignment });
  } else if (operation === "revoke")
    await lattice.command("capability.revoke", { instanceId, capabilityId: "store" });
  else if (operation === "label")
    await done(lattice, "node.label", { nodeId: "n1", labels: { rack: randomId(2) } });
  else if (operation === "host") {
    const id = freshId("host");
    const host = await lattice.kvProvider(id);
    await vi.waitFor(async () => expect([...(await etcd.all()).keys()].join()).toContain(`kv/${id}`));
    await host.stop("replaced");
  } else await loseLeases();
}

/** As an etcd does that was away for too long; the nodes notice it within some seconds. */
async function loseLeases(): Promise<void> {
  const { leases = [] } = (await etcd.ask("/v3/lease/leases", {})) as { leases?: { ID: string }[] };
  for (const { ID } of leases.slice(0, 1)) await etcd.ask("/v3/lease/revoke", { ID });
}
