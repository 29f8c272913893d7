import fc from "fast-check";
import { expect, test } from "vitest";
import { policyLimits } from "../../actors/restart-policy/policy-limits.ts";
import { seededChance } from "../../src/chance.ts";
import type { RestartPolicy } from "../../src/protocol/instance-spec.ts";
import { startOwners, type Heard } from "../support/policy-owner.ts";
import { restartPolicyModel } from "../support/restart-policy-model.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const anyLimits = fc.record({
  stableRunMs: fc.integer({ min: 1, max: 2_000 }),
  intensity: fc.integer({ min: 1, max: 5 }),
  periodMs: fc.integer({ min: 1, max: 2_000 }),
});

const anyPolicy: fc.Arbitrary<RestartPolicy> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ type: "never" as const }) },
  { weight: 3, arbitrary: fc.constant({ type: "always" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("backoff" as const),
      delayMs: fc.integer({ min: 1, max: 500 }),
      maxDelayMs: fc.integer({ min: 1, max: 2_000 }),
      maxRetries: fc.integer({ min: 0, max: 8 }),
    }),
  },
);

const anyOwner = fc.record({ policy: anyPolicy, seed: fc.nat(), limits: anyLimits });

/** What may happen to one owner; `recover` runs as soon as a restart is due, as a well-behaved owner does. */
const anyStep = fc.record({
  owner: fc.nat(),
  what: fc.oneof(
    { weight: 4, arbitrary: fc.constant("crash" as const) },
    { weight: 4, arbitrary: fc.constant("recover" as const) },
    { weight: 1, arbitrary: fc.constant("running" as const) },
    { weight: 3, arbitrary: fc.constant("wait" as const) },
  ),
  /** In parts of the longest wait that means anything, so that both sides of each bound are met. */
  ms: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 2_100 })),
});

type Owner = { policy: RestartPolicy; seed: number; limits: ReturnType<typeof policyLimits> };
type Step = { owner: number; what: "crash" | "recover" | "running" | "wait"; ms: number };

test("P8: any crashes of any owners in any order are answered by each one's own policy, exactly (R15.1-5)", async () => {
  const met = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyOwner, { minLength: 1, maxLength: 6 }),
      fc.array(anyStep, { minLength: 10, maxLength: 120, size: "max" }),
      async (owners, steps) => {
        const { heard, expected } = await play(owners, steps);
        expect(heard.map((answers) => answers.map(withoutReason))).toEqual(expected);
        for (const answer of heard.flat()) met.set(answer.type, (met.get(answer.type) ?? 0) + 1);
      },
    ),
    { numRuns: 300 },
  );

  for (const type of ["restart.now", "restart.scheduled", "restart.gave-up"])
    expect(met.get(type), type).toBeGreaterThan(100);
});

test("P8: an owner hears the same whether it is alone or among others that crash too (R15.5)", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyOwner, { minLength: 2, maxLength: 5 }),
      fc.array(anyStep, { minLength: 10, maxLength: 80, size: "max" }),
      async (owners, steps) => {
        const timed = timedSteps(steps);
        const together = await playTimed(owners, timed);
        for (const [index, owner] of owners.entries()) {
          const own = timed.filter((step) => step.owner % owners.length === index);
          const alone = await playTimed(
            [owner],
            own.map((step) => ({ ...step, owner: 0 })),
            endOf(timed),
          );
          expect(together[index]).toEqual(alone[0]);
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("a seed makes the delays repeatable, and each lies between nothing and its doubled ceiling (R15.3)", async () => {
  const backoff = anyOwner.filter((owner) => owner.policy.type === "backoff");
  let different = 0;
  await fc.assert(
    fc.asyncProperty(
      backoff,
      fc.nat(),
      fc.array(anyStep, { minLength: 20, maxLength: 80, size: "max" }),
      async (owner, other, steps) => {
        const first = await play([owner], steps);
        const again = await play([owner], steps);
        expect(again.heard).toEqual(first.heard);

        const { policy } = owner;
        if (policy.type !== "backoff") return;
        for (const answer of first.heard.flat()) {
          if (answer.type !== "restart.scheduled") continue;
          expect(Number.isInteger(answer.delayMs)).toBe(true);
          expect(answer.delayMs).toBeGreaterThanOrEqual(0);
          expect(answer.delayMs).toBeLessThanOrEqual(
            Math.min(policy.maxDelayMs, policy.delayMs * 2 ** (answer.attempt - 1)),
          );
          expect(answer.attempt).toBeLessThanOrEqual(policy.maxRetries);
        }
        const elsewhere = await play([{ ...owner, seed: other }], steps);
        if (JSON.stringify(elsewhere.heard) !== JSON.stringify(first.heard)) different++;
      },
    ),
    { numRuns: 150 },
  );

  expect(different).toBeGreaterThan(20);
});

test("no owner is ever told to restart twice for one crash, nor at all after its policy gave up (R15.1-3)", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyOwner, { minLength: 1, maxLength: 4 }),
      fc.array(anyStep, { minLength: 10, maxLength: 120, size: "max" }),
      async (owners, steps) => {
        const clock = virtualClock();
        const handles = startOwners(clock, owners);
        for (const step of steps) {
          const handle = handles[step.owner % handles.length];
          if (step.what === "crash") handle?.crash();
          else if (step.what === "wait") await clock.advance(step.ms);
          else handle?.running();
          const waiting = handles.filter((one) => one.heard.at(-1)?.type === "restart.scheduled").length;
          const proving = handles.filter((one) => one.heard.at(-1)?.type === "restart.now").length;
          expect(clock.pending().length).toBeLessThanOrEqual(waiting + proving);
        }
        await clock.advance(10_000);
        for (const [index, { heard }] of handles.entries())
          expect(chains(heard), `${index}`).not.toContain("?");
      },
    ),
    { numRuns: 150 },
  );
});

/** The answers as a word: `n` an immediate restart, `sn` a scheduled one, `g` the end; `?` what must not be there. */
function chains(heard: readonly Heard[]): string {
  const word = heard
    .map(({ type }) => ({ "restart.now": "n", "restart.scheduled": "s", "restart.gave-up": "g" })[type])
    .join("");
  return /^(n*|(sn)*)g?$/.test(word) ? word : `?${word}`;
}

async function play(owners: readonly Owner[], steps: readonly Step[]) {
  const clock = virtualClock(1_000_000);
  const handles = startOwners(clock, owners);
  const models = owners.map((owner) =>
    restartPolicyModel(owner.policy, seededChance(owner.seed), owner.limits),
  );
  const passTime = () => models.forEach((model) => model.advanceTo(clock.now()));
  for (const { owner, what, ms } of steps) {
    const index = owner % owners.length;
    const model = models[index] as (typeof models)[number];
    if (what === "wait") {
      await clock.advance(ms);
      passTime();
    }
    while (what === "recover" && model.awaitsRestart() && (await clock.advanceToNext())) passTime();
    if (what === "crash") {
      handles[index]?.crash("trap");
      model.crash(clock.now());
    } else if (what !== "wait") {
      handles[index]?.running();
      model.running(clock.now());
    }
  }
  await clock.advance(10_000);
  passTime();
  return { heard: handles.map((handle) => handle.heard), expected: models.map((model) => model.expected) };
}

interface TimedStep extends Step {
  at: number;
}

function timedSteps(steps: readonly Step[]): TimedStep[] {
  let at = 0;
  return steps.map((step) => ({ ...step, at: (at += step.ms) }));
}

function endOf(steps: readonly TimedStep[]): number {
  return (steps.at(-1)?.at ?? 0) + 10_000;
}

async function playTimed(
  owners: readonly Owner[],
  steps: readonly TimedStep[],
  until = endOf(steps),
): Promise<(readonly Heard[])[]> {
  const clock = virtualClock();
  const handles = startOwners(clock, owners);
  for (const { owner, what, at } of steps) {
    await clock.advance(at - clock.now());
    const handle = handles[owner % owners.length];
    if (what === "crash") handle?.crash();
    else handle?.running();
  }
  await clock.advance(until - clock.now());
  return handles.map((handle) => handle.heard);
}

/** The model knows when a policy gives up, not how it says so; the sentence must hold a number or the policy's name. */
function withoutReason(answer: Heard): object {
  if (answer.type !== "restart.gave-up") return answer;
  expect(answer.reason).toMatch(/^policy (never|always: \d+ crashes|backoff: \d+ of \d+ restarts).*: trap$/);
  return { heardAt: answer.heardAt, type: answer.type };
}
