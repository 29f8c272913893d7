import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { anyKvStep, type KvStep, neededFor, payloadOf, perform } from "../support/kv-guest-model.ts";
import { done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

const { "sdk-check": example } = await buildExamples(["sdk-check"]);
const everything = ["kv:read", "kv:write", "kv:delete"];

let lattice: TestLattice;
let digest: string;
beforeAll(async () => {
  lattice = await startLattice();
  await lattice.controlPlane("cp1");
  await lattice.kvProvider("kv1");
  await lattice.node("n1");
  const bytes = readFileSync(example.path).toString("base64");
  digest = (await done(lattice, "module.put", { bytes }))["digest"];
});
afterAll(() => lattice[Symbol.asyncDispose]());

test("P10, R5.4: any operation of a guest is performed by the provider, and its result or its error comes back", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyKvStep, { minLength: 1, maxLength: 20 }), async (steps) => {
      const instanceId = await start({ granted: everything });
      const store = new Map<string, string>();
      for (const step of steps) expect(await outcome(instanceId, step)).toEqual(perform(store, step));
      await done(lattice, "instance.stop", { instanceId });
    }),
    { numRuns: 100 },
  );
});

test("P4, P19, R14.3, R14.5: of a pair of instances each has its own grants alone, and the other's data only in a shared bucket", async () => {
  const granted = fc.subarray(everything);
  const bucket = fc.option(fc.constantFrom("one", "two"), { nil: undefined });
  const side = fc.record({ granted, bucket });
  const steps = fc.array(fc.tuple(fc.constantFrom(0, 1), anyKvStep), { minLength: 2, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(side, side, fc.boolean(), steps, async (one, other, sameName, workload) => {
      const names = [freshId("left"), freshId("right")];
      if (sameName) names[1] = names[0]!;
      // Buckets of this run alone, so that it begins with empty ones.
      const buckets = { one: freshId("one"), two: freshId("two") } as const;
      const sides = [one, other].map(({ granted: mine, bucket: shared }, index) => ({
        granted: mine,
        name: names[index]!,
        bucket: shared === undefined ? undefined : buckets[shared as keyof typeof buckets],
      }));
      const ids = await Promise.all(sides.map(start));
      const stores = new Map(sides.map((mine) => [mine.bucket ?? mine.name, new Map<string, string>()]));
      for (const [who, step] of workload) {
        const mine = sides[who]!;
        const store = stores.get(mine.bucket ?? mine.name)!;
        const expected = mine.granted.includes(neededFor(step))
          ? perform(store, step)
          : { error: "PERMISSION_DENIED" };
        expect(await outcome(ids[who]!, step)).toEqual(expected);
      }
      for (const [index, instanceId] of ids.entries()) {
        const { assignments } = await done(lattice, "capability.list", { instanceId });
        const mine = sides[index]!.granted;
        expect(assignments.map((grant: { permissions: string[] }) => grant.permissions)).toEqual(
          mine.length === 0 ? [] : [mine],
        );
        await done(lattice, "instance.stop", { instanceId });
      }
    }),
    { numRuns: 100 },
  );
});

interface Side {
  granted: string[];
  name?: string;
  bucket?: string | undefined;
}

async function start({ granted, name, bucket }: Side): Promise<string> {
  const instanceId = freshId("kv");
  const config = bucket === undefined ? {} : { bucket };
  const grant = { capabilityId: "store", providerType: "kv", permissions: granted, config };
  await done(lattice, "instance.start", {
    module: { digest },
    instanceId,
    ...(name === undefined ? {} : { name }),
    capabilities: granted.length === 0 ? [] : [grant],
  });
  return instanceId;
}

/** What the guest answers, or the code that the provider or its cell gave it. */
async function outcome(instanceId: string, step: KvStep): Promise<{ answer: string } | { error: string }> {
  const answer = await lattice.call(instanceId, step.operation, payloadOf(step));
  if (typeof answer === "string") return { answer };
  expect(answer?.code).toBe("GUEST_ERROR");
  return { error: /^[A-Z_]+/.exec(answer?.message ?? "")?.[0] ?? `no code: ${answer?.message}` };
}
