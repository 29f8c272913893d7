import fc from "fast-check";
import { expect, test } from "vitest";
import { seededChance } from "../../src/chance.ts";
import { type ErrorCode, errorCodes, Failure } from "../../src/protocol/errors.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import type { RestartPolicy } from "../../src/protocol/instance-spec.ts";
import { instanceLab, type InstanceLab, labInstanceId } from "../support/instance-lab.ts";
import { type Foretold, instanceModel, type ModelWorld } from "../support/instance-model.ts";

type Step =
  | { act: "crash" | "die" | "up" | "hold" | "release" | "stop" | "restart" | "begin" | "succeed" }
  | { act: "fail"; code: ErrorCode }
  | { act: "wait"; ms: number };

const policies: fc.Arbitrary<RestartPolicy> = fc.oneof(
  fc.constant({ type: "never" as const }),
  fc.constant({ type: "always" as const }),
  fc.record({
    type: fc.constant("backoff" as const),
    delayMs: fc.integer({ min: 1, max: 2_000 }),
    maxDelayMs: fc.integer({ min: 1, max: 10_000 }),
    maxRetries: fc.nat({ max: 6 }),
  }),
);

const simple = fc.constantFrom(
  "die",
  "up",
  "up",
  "hold",
  "release",
  "release",
  "restart",
  "begin",
  "succeed",
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ act: simple }) },
    { weight: 3, arbitrary: fc.constant({ act: "crash" as const }) },
    { weight: 1, arbitrary: fc.constant({ act: "stop" as const }) },
    {
      weight: 2,
      arbitrary: fc.record({
        act: fc.constant("fail" as const),
        code: fc.oneof(
          fc.constantFrom<ErrorCode[]>("COMMUNICATION_FAILURE", "INVALID_MODULE", "RESOURCE_EXHAUSTED"),
          fc.constantFrom(...(Object.keys(errorCodes) as ErrorCode[])),
        ),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        act: fc.constant("wait" as const),
        ms: fc.constantFrom(0, 1, 50, 400, 999, 1_000, 1_500, 4_999, 5_001, 12_000, 60_000, 61_000),
      }),
    },
  ) as fc.Arbitrary<Step>,
  { minLength: 1, maxLength: 40, size: "max" },
);

/** Which status the node tells of while its machine is in that state. */
const told: Readonly<Record<string, string>> = { "engine-in-doubt": "starting" };

const follows: Readonly<Record<string, readonly string[]>> = {
  starting: ["running", "crashed", "restarting", "stopped"],
  running: ["crashed", "restarting", "stopped"],
  restarting: ["running", "crashed", "restarting", "stopped"],
  crashed: ["restarting", "backing-off", "gave-up", "stopped"],
  "backing-off": ["restarting", "stopped"],
  "gave-up": ["restarting", "stopped"],
  stopped: ["starting"],
};

test("P8 P9 P13: an instance states exactly what the reference model foretells, whatever happens to it in whatever order", async () => {
  await fc.assert(
    fc.asyncProperty(policies, fc.nat(), steps, async (policy, seed, script) => {
      const lab = instanceLab(policy, seed);
      const chance = seededChance(seed);
      const world: ModelWorld = {
        now: lab.clock.now(),
        engineUp: false,
        held: false,
        failing: undefined,
        facts: [],
      };
      const hands = handsOn(lab);
      await hands.take({ act: "up" });
      world.engineUp = true;
      lab.begin();
      await lab.clock.advance(0);
      let model = instanceModel(policy, chance, world);
      for (const step of script) {
        await hands.take(step);
        if (step.act === "crash") model.crash();
        else if (step.act === "stop") model.stop();
        else if (step.act === "restart") model.restart();
        else if (step.act === "hold") world.held = true;
        else if (step.act === "succeed") world.failing = undefined;
        else if (step.act === "fail") world.failing = step.code;
        else if (step.act === "release" && world.held) {
          world.held = false;
          model.released();
        } else if (step.act === "die" && world.engineUp) {
          world.engineUp = false;
          model.engineLost();
        } else if (step.act === "up" && !world.engineUp) {
          world.engineUp = true;
          model.engineUp();
        } else if (step.act === "begin" && model.hasEnded()) model = instanceModel(policy, chance, world);
        const waitMs = step.act === "wait" ? step.ms : 0;
        await lab.clock.advance(waitMs);
        model.walkTo(world.now + waitMs);

        expect(lab.facts.map(inShort)).toEqual(world.facts);
        expect(lab.actor()?.getSnapshot().value ?? "stopped").toBe(model.state());
        expect(lab.guestLives()).toBe(model.guestLives());
        if (model.state() !== "stopping") {
          expect(lab.own()?.status).toBe(told[model.state()] ?? model.state());
        }
      }
      expect(lab.broken).toEqual([]);
      expectDelaysInBounds(lab.facts, policy);
    }),
    { numRuns: 300 },
  );
});

test("P8 P14: with everything at once, facts stay in a legal order, one guest lives at most and none starts after its stop", async () => {
  const turns = fc.array(fc.tuple(steps, fc.constantFrom(0, 0, 1, 700, 61_000)), {
    minLength: 1,
    maxLength: 6,
  });
  await fc.assert(
    fc.asyncProperty(policies, fc.nat(), turns, async (policy, seed, script) => {
      const lab = instanceLab(policy, seed);
      const hands = handsOn(lab);
      lab.begin();
      const starts = () => lab.engines.log.filter((line) => line.startsWith("start")).length;
      let startsAtStop: number | undefined;
      await hands.take({ act: "up" });
      for (const [burst, ms] of script) {
        for (const step of burst) {
          if (step.act === "stop" && lab.actor() !== undefined) startsAtStop ??= starts();
          if (step.act === "begin" && lab.actor() === undefined) startsAtStop = undefined;
          const taken = hands.take(step);
          if (step.act === "up") await taken;
          if (startsAtStop !== undefined) expect(starts()).toBe(startsAtStop);
        }
        await lab.clock.advance(ms);
        if (startsAtStop !== undefined) expect(starts()).toBe(startsAtStop);
      }
      await hands.take({ act: "release" });
      await lab.clock.advance(0);
      expect(lab.broken).toEqual([]);
      expectLegalOrder(lab.facts);
      const value = String(lab.actor()?.getSnapshot().value ?? "stopped");
      expect(lab.own()?.status).toBe(told[value] ?? value);
      expect(lab.guestLives()).toBe(value === "running");
      expectDelaysInBounds(lab.facts, policy);
    }),
    { numRuns: 200 },
  );
});

/** Does to the machine and its engine what a step says; what cannot happen now is left out. */
function handsOn(lab: InstanceLab) {
  let release: (() => void) | undefined;
  let isUp = false;
  return {
    async take(step: Step): Promise<void> {
      switch (step.act) {
        case "crash":
          return lab.guestLives() ? lab.engines.crash(labInstanceId, "unreachable") : undefined;
        case "stop":
          return lab.actor()?.send({ type: "instance.stop", reason: "enough" });
        case "restart":
          return lab.actor()?.send({ type: "instance.restart" });
        case "hold":
          release ??= lab.engines.holdStarts();
          return;
        case "release":
          release?.();
          release = undefined;
          return;
        case "succeed":
          return lab.engines.startFailures.clear();
        case "fail":
          return void lab.engines.startFailures.set(
            labInstanceId,
            new Failure(step.code, "it is told to fail"),
          );
        case "die":
          isUp = false;
          return lab.engines.die("SIGABRT");
        case "up":
          if (isUp) return;
          isUp = true;
          return lab.engineUp();
        case "begin":
          return lab.actor() === undefined ? lab.begin() : undefined;
        case "wait":
      }
    },
  };
}

function inShort({ kind, data }: Fact): Foretold {
  if (kind === "instance.restarting") return [kind, data.restarts, data.reason];
  return [kind, (data as { restarts: number }).restarts];
}

function expectLegalOrder(facts: readonly Fact[]): void {
  let before = "stopped";
  let restarts = 0;
  for (const fact of facts) {
    const [kind, counted, reason] = inShort(fact);
    const verb = kind.slice("instance.".length);
    expect(follows[before]).toContain(verb);
    if (verb === "starting") restarts = 0;
    if (reason !== undefined && reason !== "the engine ended") restarts += 1;
    expect(counted).toBe(restarts);
    before = verb;
  }
}

/** R15.3: the n-th pause is at most the delay doubled n−1 times, never above the ceiling. */
function expectDelaysInBounds(facts: readonly Fact[], policy: RestartPolicy): void {
  for (const { kind, at, data } of facts) {
    if (kind !== "instance.backing-off" || policy.type !== "backoff") continue;
    const ceiling = Math.min(policy.maxDelayMs, policy.delayMs * 2 ** (data.attempt - 1));
    expect(data.delayMs).toBeGreaterThanOrEqual(0);
    expect(data.delayMs).toBeLessThanOrEqual(ceiling);
    expect(data.attempt).toBeLessThanOrEqual(policy.maxRetries);
    expect(Date.parse(data.until)).toBe(Date.parse(at) + data.delayMs);
  }
}

test("a start that succeeds forgets the failure before it, so that whoever waits for a later one is not told of it", async () => {
  const lab = instanceLab({ type: "always" }, 1);
  const hands = handsOn(lab);
  await hands.take({ act: "up" });
  await hands.take({ act: "fail", code: "TIMEOUT" });
  await hands.take({ act: "hold" });
  lab.begin();
  await lab.clock.advance(0);
  await hands.take({ act: "release" });
  await hands.take({ act: "hold" });
  await lab.clock.advance(0);
  await hands.take({ act: "succeed" });
  await hands.take({ act: "release" });
  await lab.clock.advance(0);
  const actor = lab.actor();
  expect(actor?.getSnapshot().value).toBe("running");
  expect(actor?.getSnapshot().context.failure).toBeUndefined();
});
