import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Fact } from "../../src/protocol/facts.ts";
import { anyPolicy, isValid, type LifeModel, type LifeStep, unborn } from "../support/instance-life-model.ts";
import { type HeardFacts, hearFacts, instanceIn } from "../support/lattice-facts.ts";
import { done, freshId, live } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

let lattice: TestLattice;
let heard: HeardFacts;
beforeAll(async () => {
  lattice = await startLattice();
  heard = await hearFacts(lattice);
  await lattice.controlPlane("cp1");
  await lattice.node("n1");
  await lattice.node("n2");
});
afterAll(() => lattice[Symbol.asyncDispose]());

const steps = fc.array(
  fc.tuple(fc.nat({ max: 2 }), fc.constantFrom<LifeStep>("start", "stop", "restart", "crash", "call")),
  { minLength: 1, maxLength: 9 },
);

test("P9, P13, R4.5, R9.1: every status change of any workload is stated as a fact, in order and once, and the control plane has it on record", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPolicy, { minLength: 3, maxLength: 3 }),
      steps,
      async (policies, workload) => {
        const ids = policies.map(() => freshId("told"));
        const lives: LifeModel[] = policies.map(unborn);
        await Promise.all(
          ids.map(async (instanceId, index) => {
            lives[index] = await live(lattice, heard, instanceId, lives[index]!, "start");
            for (const [, step] of workload.filter(([who]) => who === index)) {
              if (isValid(lives[index], step))
                lives[index] = await live(lattice, heard, instanceId, lives[index], step);
            }
            if (isValid(lives[index], "stop"))
              lives[index] = await live(lattice, heard, instanceId, lives[index], "stop");
          }),
        );
        for (const [index, instanceId] of ids.entries()) {
          const { facts } = await done(lattice, "fact.list", { instanceId });
          expect(heard.kindsOf(instanceId)).toEqual(lives[index]?.told);
          expect(facts).toEqual(heard.all.filter((fact) => instanceIn(fact) === instanceId));
        }
        expectGapless(heard.all);
      },
    ),
    { numRuns: 100 },
  );
});

/** Each life of each node counts its facts from 1, without a gap and without a repetition. */
function expectGapless(facts: readonly Fact[]): void {
  const last = new Map<string, number>();
  for (const { node, epoch, seq, kind } of facts) {
    const life = `${node} ${epoch}`;
    if (seq !== (last.get(life) ?? 0) + 1)
      expect.fail(`${life}: ${kind} has seq ${seq} after ${last.get(life)}`);
    last.set(life, seq);
  }
  expect(new Set([...last.keys()].map((life) => life.split(" ")[0]))).toEqual(new Set(["n1", "n2"]));
}
