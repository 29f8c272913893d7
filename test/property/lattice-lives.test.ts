import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  after,
  anyPolicy,
  isValid,
  type LifeModel,
  type LifeStep,
  unborn,
} from "../support/instance-life-model.ts";
import { type HeardFacts, hearFacts } from "../support/lattice-facts.ts";
import { countingModule, done, expectedAnswer, freshId, live } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

let lattice: TestLattice;
let heard: HeardFacts;
beforeAll(async () => {
  lattice = await startLattice();
  await lattice.controlPlane("cp1");
  await lattice.node("n1", { zone: "a" });
  await lattice.node("n2", { zone: "b" });
  heard = await hearFacts(lattice);
});
afterAll(() => lattice[Symbol.asyncDispose]());

test("P1, R1.1, R1.4: after any number of calls, an instance that crashed, was restarted, started again or moved begins with an empty memory", async () => {
  const ending = fc.constantFrom("crash", "restart", "start again", "move");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 8 }), ending), { minLength: 1, maxLength: 3 }),
      async (lives) => {
        const instanceId = freshId("mem");
        let zone = "a";
        const start = () =>
          done(lattice, "instance.start", {
            module: countingModule,
            instanceId,
            requires: { zone },
            restartPolicy: { type: "always" },
          });
        await start();
        for (const [calls, end] of lives) {
          for (let call = 1; call <= calls; call += 1)
            expect(await lattice.call(instanceId, "count")).toBe(String(call));
          if (end === "crash") {
            const told = heard.kindsOf(instanceId).length;
            expect(await lattice.call(instanceId, "trap")).toMatchObject({ code: "GUEST_TRAPPED" });
            await heard.untilTold(instanceId, told + 3);
          } else if (end === "restart") await done(lattice, "instance.restart", { instanceId });
          else {
            await done(lattice, "instance.stop", { instanceId });
            if (end === "move") zone = zone === "a" ? "b" : "a";
            expect((await start())["instances"]).toMatchObject([{ nodeId: zone === "a" ? "n1" : "n2" }]);
          }
        }
        expect(await lattice.call(instanceId, "count")).toBe("1");
        await done(lattice, "instance.stop", { instanceId });
      },
    ),
    { numRuns: 100 },
  );
});

test("P6, P14, R9.4: after each step of any sequence of starts, stops, restarts and crashes, query and list tell the actual status", async () => {
  const step = fc.constantFrom<LifeStep>("start", "stop", "restart", "crash");
  // Ten steps hold at most nine crashes: `always` would give up at the eleventh within its period.
  await fc.assert(
    fc.asyncProperty(anyPolicy, fc.array(step, { minLength: 1, maxLength: 10 }), async (policy, steps) => {
      const instanceId = freshId("step");
      let life: LifeModel = unborn(policy);
      for (const next of steps) {
        if (isValid(life, next)) life = await live(lattice, heard, instanceId, life, next);
        else if (next !== "crash")
          expect(await refusal(next, instanceId)).toMatch(expectedRefusal(life, next));
        await expectTold(instanceId, life);
      }
      if (isValid(life, "stop")) await live(lattice, heard, instanceId, life, "stop");
    }),
    { numRuns: 100 },
  );
});

async function refusal(step: LifeStep, instanceId: string): Promise<string | undefined> {
  const target = step === "start" ? { module: countingModule, instanceId } : { instanceId };
  return (await lattice.command(`instance.${step}`, target)).error?.code;
}

function expectedRefusal({ status }: LifeModel, step: LifeStep): RegExp {
  if (step === "start") return /^INSTANCE_EXISTS$/;
  return status === "absent" ? /^INSTANCE_NOT_FOUND$/ : /^INSTANCE_UNAVAILABLE$/;
}

async function expectTold(instanceId: string, life: LifeModel): Promise<void> {
  const queried = await lattice.command("instance.query", { instanceId });
  const living = await done(lattice, "instance.list", { instanceId });
  const all = await done(lattice, "instance.list", { instanceId, all: true });
  if (life.status === "absent") {
    expect(queried).toMatchObject({ ok: false, error: { code: "INSTANCE_NOT_FOUND" } });
    expect([living["instances"], all["instances"]]).toEqual([[], []]);
    return;
  }
  const expected = expectedAnswer(instanceId, life);
  expect(queried).toMatchObject({ ok: true, instance: expected });
  expect(living["instances"]).toMatchObject(life.status === "stopped" ? [] : [expected]);
  expect(all["instances"]).toMatchObject([expected]);
}

test("P8, R15.5: of several instances each that crashes follows its own policy, and the others keep status, restarts and memory", async () => {
  const crashes = fc.array(fc.subarray([0, 1, 2, 3], { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPolicy, { minLength: 4, maxLength: 4 }),
      crashes,
      async (policies, rounds) => {
        const ids = policies.map(() => freshId("crash"));
        const all = async (lives: readonly LifeModel[], step: (index: number) => LifeStep) =>
          Promise.all(
            lives.map(async (life, index) =>
              isValid(life, step(index)) ? live(lattice, heard, ids[index]!, life, step(index)) : life,
            ),
          );
        let lives = await all(policies.map(unborn), () => "start");
        for (const hit of rounds) {
          lives = await all(lives, (index) => (hit.includes(index) ? "crash" : "call"));
          const answers = await Promise.all(
            ids.map((instanceId) => done(lattice, "instance.query", { instanceId })),
          );
          expect(answers.map(({ instance }) => instance)).toMatchObject(
            lives.map((life, index) => expectedAnswer(ids[index]!, life)),
          );
        }
        // What nobody hit goes on counting; what restarted begins again.
        lives = await all(lives, () => "call");
        await all(lives, () => "stop");
      },
    ),
    { numRuns: 100 },
  );
});

test("the model of a life is one that can be wrong: a crash and a call differ under every policy", () => {
  fc.assert(
    fc.property(anyPolicy, (policy) => {
      const running = after(unborn(policy), "start");
      expect(after(running, "crash").told).not.toEqual(after(running, "call").told);
    }),
    { numRuns: 100 },
  );
});
