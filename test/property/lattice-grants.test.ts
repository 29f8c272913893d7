import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { countingModule, done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

let lattice: TestLattice;
beforeAll(async () => {
  lattice = await startLattice();
  await lattice.controlPlane("cp1");
  await lattice.kvProvider("kv1");
  await lattice.node("n1");
  await lattice.node("n2");
  await done(lattice, "provider.start", { provider: "elsewhere", kind: "kv" });
});
afterAll(() => lattice[Symbol.asyncDispose]());

const assignment = fc.record(
  {
    capabilityId: fc.constantFrom("a", "b", "c", "store"),
    providerType: fc.constant("kv"),
    provider: fc.constantFrom("kv", "elsewhere"),
    permissions: fc.subarray(["kv:read", "kv:write", "kv:delete"], { minLength: 1 }),
    config: fc.oneof(
      fc.record({ bucket: fc.constantFrom("one", "two") }),
      fc.dictionary(fc.string({ minLength: 1, maxLength: 5 }), fc.string({ maxLength: 5 }), { maxKeys: 2 }),
    ),
  },
  { requiredKeys: ["capabilityId", "providerType", "permissions"] },
);
type Granted = (typeof assignment extends fc.Arbitrary<infer One> ? One : never) & object;

const copies = 3;
const first = fc.uniqueArray(assignment, { selector: ({ capabilityId }) => capabilityId, maxLength: 4 });
const change = fc.oneof(
  fc.record({ who: fc.nat({ max: copies }), assign: assignment }),
  fc.record({ who: fc.nat({ max: copies }), revoke: fc.constantFrom("a", "b", "c", "store") }),
);

test("P5, R2.4, R6.2: whatever was assigned and revoked, the list of grants holds exactly those that are in force", async () => {
  const limit = fc.integer({ min: 1, max: 5 });
  await fc.assert(
    fc.asyncProperty(
      first,
      fc.array(change, { maxLength: 8 }),
      limit,
      async (capabilities, changes, pageLimit) => {
        const name = freshId("grants");
        const started = await done(lattice, "instance.start", {
          module: countingModule,
          name,
          count: copies,
          capabilities,
        });
        const ids: string[] = started["instances"].map((one: { instanceId: string }) => one.instanceId);
        const model = new Map(
          ids.map((id) => [id, new Map(capabilities.map((one) => [one.capabilityId, one as Granted]))]),
        );

        for (const one of changes) {
          // The number beyond the copies means all of them, by their name.
          const instanceId = ids[one.who];
          const target = instanceId === undefined ? { name } : { instanceId };
          const meant = instanceId === undefined ? ids : [instanceId];
          if ("assign" in one) {
            await done(lattice, "capability.assign", { ...target, assignment: one.assign });
            for (const id of meant) model.get(id)?.set(one.assign.capabilityId, one.assign);
          } else {
            const holding = meant.filter((id) => model.get(id)?.delete(one.revoke));
            const answer = await lattice.command("capability.revoke", {
              ...target,
              capabilityId: one.revoke,
            });
            if (holding.length > 0) expect(answer).toMatchObject({ ok: true, instances: holding.toSorted() });
            else expect(answer).toMatchObject({ ok: false, error: { code: "INVALID_REQUEST" } });
          }
          expect(await pages({ name }, pageLimit)).toEqual(expected(model));
        }
        // Nothing of earlier runs is left, so that all grants of the lattice are those of this one.
        expect(await pages({}, pageLimit)).toEqual(expected(model));
        for (const id of ids) expect(await pages({ instanceId: id }, pageLimit)).toEqual(expected(model, id));
        await done(lattice, "instance.stop", { name });
        expect(await pages({ name }, pageLimit)).toEqual([]);
      },
    ),
    { numRuns: 100 },
  );
});

/** Every page, one after the other; each ends at an instance, so none is longer than its limit and one's grants. */
async function pages(target: object, limit: number): Promise<string[]> {
  const found: string[] = [];
  let after: string | undefined;
  do {
    const answer = await done(lattice, "capability.list", {
      ...target,
      limit,
      ...(after === undefined ? {} : { after }),
    });
    expect(answer["assignments"].length).toBeLessThan(limit + 4);
    for (const { instanceId, nodeId, ...granted } of answer["assignments"]) {
      expect(["n1", "n2"]).toContain(nodeId);
      found.push(text(instanceId, granted));
    }
    after = answer["next"];
  } while (after !== undefined);
  return found.toSorted();
}

function expected(model: ReadonlyMap<string, ReadonlyMap<string, Granted>>, only?: string): string[] {
  return [...model]
    .filter(([instanceId]) => only === undefined || instanceId === only)
    .flatMap(([instanceId, grants]) => [...grants.values()].map((granted) => text(instanceId, granted)))
    .toSorted();
}

/** An assignment in one order of its fields, with what is taken where nothing is given. */
function text(
  instanceId: string,
  { capabilityId, providerType, provider, permissions, config = {} }: Granted,
): string {
  const settings = Object.entries(config).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify([instanceId, capabilityId, providerType, provider, permissions, settings]);
}
