import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { InstanceDetail } from "../../src/protocol/instance-spec.ts";
import { ProviderSummary } from "../../src/protocol/commands.ts";
import { countingModule, done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

let lattice: TestLattice;
beforeAll(async () => {
  lattice = await startLattice();
  await lattice.controlPlane("cp1");
  await lattice.node("n1");
});
afterAll(() => lattice[Symbol.asyncDispose]());

const providers = async () => (await done(lattice, "provider.list", {}))["providers"];
const instancesOf = async (name: string) =>
  (await done(lattice, "instance.list", { name, all: true }))["instances"];
const detailsOf = (ids: string[]) =>
  Promise.all(
    ids.map(async (instanceId) => (await done(lattice, "instance.query", { instanceId }))["instance"]),
  );

test("P21, R16.5: no answer about providers holds anything of instances, no answer about instances anything of providers, and neither end changes the other", async () => {
  const permissions = fc.subarray(["kv:read", "kv:write", "kv:delete"], { minLength: 1 });
  const count = fc.integer({ min: 1, max: 4 });
  await fc.assert(
    fc.asyncProperty(permissions, count, fc.boolean(), async (granted, copies, providerFirst) => {
      const providerNode = freshId("host");
      const provider = await lattice.kvProvider(providerNode);
      const name = freshId("meta");
      const beforeInstances = await vi.waitFor(async () => {
        const list = await providers();
        expect(statusOn(list, providerNode)).toBe("available");
        return list;
      });
      const started = await done(lattice, "instance.start", {
        module: countingModule,
        name,
        count: copies,
        config: { secret: `value-of-${name}` },
        capabilities: [{ capabilityId: "store", providerType: "kv", permissions: granted }],
      });
      const ids: string[] = started["instances"].map((one: { instanceId: string }) => one.instanceId);
      const details = await detailsOf(ids);

      expect(await providers()).toEqual(beforeInstances);
      for (const one of beforeInstances) expectOnly(one, Object.keys(ProviderSummary.shape));
      for (const word of [name, ...ids, details[0].moduleHash, ...granted])
        expect(JSON.stringify(beforeInstances)).not.toContain(word);
      for (const one of details) expectOnly(one, Object.keys(InstanceDetail.shape));
      const told = JSON.stringify([details, await instancesOf(name)]);
      for (const word of [providerNode, '"backend"', '"memory"', '"version"'])
        expect(told).not.toContain(word);

      if (providerFirst) {
        await provider.stop("replaced");
        expect(statusOn(await providers(), providerNode)).not.toBe("available");
        expect(await detailsOf(ids)).toEqual(details);
        await done(lattice, "instance.stop", { name });
      } else {
        await done(lattice, "instance.stop", { name });
        expect((await instancesOf(name)).map((one: { status: string }) => one.status)).toEqual(
          ids.map(() => "stopped"),
        );
        expect(await providers()).toEqual(beforeInstances);
        expect(statusOn(await providers(), providerNode)).toBe("available");
        await provider.stop("the run is over");
      }
    }),
    { numRuns: 100 },
  );
});

function expectOnly(answer: object, fields: readonly string[]): void {
  expect(Object.keys(answer).filter((field) => !fields.includes(field))).toEqual([]);
}

function statusOn(list: { nodeId: string; status: string }[], nodeId: string): string | undefined {
  return list.find((one) => one.nodeId === nodeId)?.status;
}
