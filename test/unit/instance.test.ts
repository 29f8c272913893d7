import { createActor } from "xstate";
import { expect, test } from "vitest";
import { instanceMachine } from "../../actors/instance/instance-machine.ts";
import { seededChance } from "../../src/chance.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { InstanceSpec, type RestartPolicy } from "../../src/protocol/instance-spec.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function instance(restartPolicy: RestartPolicy) {
  const clock = virtualClock(1_000);
  const facts: [kind: string, restarts: number][] = [];
  const starts: PromiseWithResolvers<void>[] = [];
  const spec = InstanceSpec.parse({
    moduleHash: `sha256:${"0".repeat(64)}`,
    commandId: "c1",
    createdAt: "2026-01-01T00:00:00.000Z",
    instanceId: "a",
    incarnation: 1,
    restartPolicy,
  });
  const actor = createActor(instanceMachine, {
    clock,
    input: {
      spec,
      now: () => clock.now(),
      chance: seededChance(1),
      state: (kind, data) => void facts.push([kind, (data as { restarts: number }).restarts]),
      start() {
        const start = Promise.withResolvers<void>();
        starts.push(start);
        return start.promise;
      },
      stop: () => Promise.resolve(),
    },
  });
  actor.start();
  const crash = () =>
    actor.send({
      type: "engine.crashed",
      crash: { reason: "trap", message: "unreachable", at: "2026-01-01T00:00:00.000Z" },
    });
  const started = () => {
    starts.at(-1)?.resolve();
    return clock.advance(0);
  };
  return { actor, clock, facts, starts, crash, started };
}

const crashed = ["instance.crashed", 0];
const began = [
  ["instance.starting", 0],
  ["instance.running", 0],
];

test("a crash under `never` ends in `crashed`, and only a restart that is asked for brings it back", async () => {
  const { actor, facts, crash, started } = instance({ type: "never" });
  await started();
  crash();
  expect(actor.getSnapshot().value).toBe("crashed");
  expect(facts).toEqual([...began, crashed]);
  actor.send({ type: "instance.restart" });
  await started();
  expect(facts.slice(3)).toEqual([
    ["instance.restarting", 1],
    ["instance.running", 1],
  ]);
});

test("a crash under `always` is followed by the next start in the same turn", async () => {
  const { facts, starts, crash, started } = instance({ type: "always" });
  await started();
  crash();
  expect([facts, starts.length]).toEqual([[...began, crashed, ["instance.restarting", 1]], 2]);
});

test("a hot loop under `always` gives up with a fact", async () => {
  const { actor, facts, crash, started } = instance({ type: "always" });
  for (let life = 0; life <= 10; life += 1) {
    await started();
    crash();
  }
  expect([actor.getSnapshot().value, facts.at(-1)]).toEqual(["gave-up", ["instance.gave-up", 10]]);
});

test("a crash under `backoff` waits first, and a stop while it waits is the end", async () => {
  const { actor, clock, facts, starts, crash, started } = instance({
    type: "backoff",
    delayMs: 100,
    maxDelayMs: 100,
    maxRetries: 3,
  });
  await started();
  crash();
  expect(facts.at(-1)).toEqual(["instance.backing-off", 0]);
  actor.send({ type: "instance.stop", reason: "enough" });
  await clock.advance(10_000);
  expect([facts.at(-1), starts.length, actor.getSnapshot().status]).toEqual([
    ["instance.stopped", 0],
    1,
    "done",
  ]);
});

test("a start that completes after a stop resurrects nothing", async () => {
  const { actor, clock, facts, started } = instance({ type: "always" });
  actor.send({ type: "instance.stop", reason: "enough" });
  await started();
  await clock.advance(0);
  expect([facts, actor.getSnapshot().value]).toEqual([
    [
      ["instance.starting", 0],
      ["instance.stopped", 0],
    ],
    "stopped",
  ]);
});

test("a first start that is refused ends the instance, a later failure is a crash for its policy", async () => {
  const refused = instance({ type: "always" });
  refused.starts[0]?.reject(new Failure("RESOURCE_EXHAUSTED", "12,000 memories"));
  await refused.clock.advance(0);
  expect(refused.facts).toEqual([
    ["instance.starting", 0],
    ["instance.stopped", 0],
  ]);

  const failing = instance({ type: "always" });
  failing.starts[0]?.reject(new Failure("TIMEOUT", "too slow"));
  await failing.clock.advance(0);
  expect(failing.facts).toEqual([["instance.starting", 0], crashed, ["instance.restarting", 1]]);
  expect(failing.actor.getSnapshot().context.crash).toMatchObject({
    reason: "start-failure",
    message: "TIMEOUT: too slow",
  });
});

test("the end of the engine is no crash, also when the failed start is heard of first", async () => {
  const { actor, clock, facts, starts, started } = instance({ type: "never" });
  await started();
  actor.send({ type: "engine.lost" });
  starts.at(-1)?.reject(new Failure("COMMUNICATION_FAILURE", "the engine ended"));
  await clock.advance(500);
  actor.send({ type: "engine.lost" });
  await started();
  expect(facts).toEqual([
    ...began,
    ["instance.restarting", 0],
    ["instance.restarting", 0],
    ["instance.running", 0],
  ]);
});
