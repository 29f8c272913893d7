import fc from "fast-check";
import { expect, test } from "vitest";
import { policyLimits } from "../../actors/restart-policy/policy-limits.ts";
import type { ChildFact } from "../../actors/supervisor/child-spec.ts";
import type { RestartPolicy } from "../../src/protocol/instance-spec.ts";
import { restartPolicyModel, type Expected } from "../support/restart-policy-model.ts";
import { factsOf, fragilePart, startSupervisor } from "../support/supervised-parts.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const limits = policyLimits({ stableRunMs: 900, intensity: 3, periodMs: 500 });

const anyPolicy = fc.oneof(
  fc.constant<RestartPolicy>({ type: "never" }),
  fc.constant<RestartPolicy>({ type: "always" }),
  fc.record({
    type: fc.constant("backoff" as const),
    delayMs: fc.integer({ min: 1, max: 400 }),
    maxDelayMs: fc.integer({ min: 1, max: 800 }),
    maxRetries: fc.integer({ min: 0, max: 5 }),
  }),
);

const anyStep = fc.record({ child: fc.nat(), crash: fc.boolean(), ms: fc.integer({ min: 0, max: 1_000 }) });

test("P8: parts that crash in any order are restarted each by its own policy, and no crash restarts another (R15.4-5)", async () => {
  const met = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPolicy, { minLength: 1, maxLength: 5 }),
      fc.array(anyStep, { minLength: 10, maxLength: 80, size: "max" }),
      async (policies, steps) => {
        const clock = virtualClock(50_000);
        const diary: string[] = [];
        const names = policies.map((_, index) => `part-${index}`);
        const supervisor = startSupervisor(
          clock,
          policies.map((policy, index) => ({
            id: `part-${index}`,
            logic: fragilePart,
            input: { name: `part-${index}`, diary },
            restart: "permanent" as const,
            policy,
          })),
          // The children draw from one source, so only a constant tells what each of them draws.
          { limits, chance: () => 0.5 },
        );
        const startedAt = names.map((): number[] => []);
        supervisor.actor.on("child.started", ({ id }) => startedAt[names.indexOf(id)]?.push(clock.now()));
        const models = policies.map((policy) => restartPolicyModel(policy, () => 0.5, limits));

        /** Time passes for the models at the same deadlines; what was restarted runs at once. */
        const walk = async (untilMs: number) => {
          for (;;) {
            const next = clock.pending()[0];
            if (next === undefined || next > untilMs) break;
            await clock.advanceToNext();
            for (const model of models) passTime(model, clock.now());
          }
          await clock.advance(untilMs - clock.now());
        };
        for (const { child, crash, ms } of steps) {
          const index = child % models.length;
          const model = models[index] as Model;
          if (!crash) await walk(clock.now() + ms);
          else if (supervisor.report(`part-${index}`)?.status === "running") {
            supervisor.tell(`part-${index}`, "die");
            model.crash(clock.now());
            model.running(clock.now());
          }
        }
        await walk(clock.now() + 5_000);

        for (const [index, name] of names.entries()) {
          const expected = models[index]?.expected ?? [];
          expect(wordOf(factsOf(supervisor, name))).toEqual(wordOfModel(expected));
          expect(startedAt[index]).toEqual(restartsOf(expected));
          for (const { type } of factsOf(supervisor, name)) met.set(type, (met.get(type) ?? 0) + 1);
        }

        const upBefore = names.filter((name) => supervisor.report(name)?.status === "running");
        const endings = diary.length;
        supervisor.actor.send({ type: "stop" });
        await clock.advance(10_000);
        expect(diary.slice(endings)).toEqual(upBefore.toReversed().map((name) => `${name} down`));
        expect(supervisor.actor.getSnapshot().status).toBe("done");
        expect(clock.pending()).toEqual([]);
      },
    ),
    { numRuns: 200 },
  );
  for (const type of ["child.crashed", "child.restarting", "child.failed"])
    expect(met.get(type), type).toBeGreaterThan(100);
});

type Model = ReturnType<typeof restartPolicyModel>;

function passTime(model: Model, now: number): void {
  model.advanceTo(now);
  model.running(now);
}

/** The facts that the answers of a policy must lead to, with the moments that they name. */
function wordOfModel(expected: readonly Expected[]): string[] {
  const word = ["started"];
  let scheduled = false;
  for (const answer of expected) {
    if (answer.type === "restart.now") {
      if (!scheduled) word.push("crashed", `restarting ${answer.attempt} at ${answer.heardAt}`);
      word.push("started");
      scheduled = false;
    } else if (answer.type === "restart.scheduled") {
      word.push("crashed", `restarting ${answer.attempt} at ${answer.at}`);
      scheduled = true;
    } else word.push("crashed", "failed");
  }
  return word;
}

function wordOf(facts: readonly ChildFact[]): string[] {
  return facts.map((fact) =>
    fact.type === "child.restarting"
      ? `restarting ${fact.attempt} at ${fact.at}`
      : fact.type.slice("child.".length),
  );
}

function restartsOf(expected: readonly Expected[]): number[] {
  return expected.flatMap((answer) => (answer.type === "restart.now" ? [answer.heardAt] : []));
}
