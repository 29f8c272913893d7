import { fromCallback } from "xstate";
import { expect, test } from "vitest";
import { restartLimits } from "../../src/limits.ts";
import { childOf, fragile, startSupervisor } from "../support/supervised-parts.ts";
import { virtualClock } from "../support/virtual-clock.ts";

test("a child can be added, stopped, started again, and replaced once it is stopped", async () => {
  const clock = virtualClock();
  const diary: string[] = [];
  const supervisor = startSupervisor(clock, []);
  supervisor.actor.send({ type: "child.add", spec: fragile("a", diary) });
  supervisor.actor.send({ type: "child.add", spec: fragile("a", diary) });
  supervisor.actor.send({ type: "child.stop", id: "a" });
  expect(supervisor.report("a")?.status).toBe("stopping");
  await clock.advance(1_000);
  expect(supervisor.report("a")?.status).toBe("stopped");
  supervisor.actor.send({ type: "child.restart", id: "a" });
  supervisor.actor.send({ type: "child.stop", id: "a" });
  await clock.advance(1_000);
  supervisor.actor.send({
    type: "child.add",
    spec: fragile("a", diary, { input: { name: "newer", diary } }),
  });
  supervisor.actor.send({ type: "child.stop", id: "nobody" });
  expect(supervisor.said()).toEqual([
    "started a",
    "refused a",
    "stopped a",
    "started a",
    "stopped a",
    "started a",
    "refused nobody",
  ]);
  expect(diary).toEqual(["a up", "a down", "a up", "a down", "newer up"]);
  expect(supervisor.actor.getSnapshot().context.children).toEqual([
    { id: "a", status: "running", restarts: 0 },
  ]);
});

test("a running child that is restarted has ended before its next life begins", async () => {
  const clock = virtualClock();
  const diary: string[] = [];
  const supervisor = startSupervisor(clock, [fragile("a", diary)]);
  supervisor.actor.send({ type: "child.restart", id: "a" });
  expect(diary).toEqual(["a up"]);
  await clock.advance(1_000);
  expect(diary).toEqual(["a up", "a down", "a up"]);
  expect(supervisor.report("a")).toEqual({ id: "a", status: "running", restarts: 1 });
});

test("a restart by hand during a backoff comes at once, and the old delay brings no second one", async () => {
  const clock = virtualClock();
  const diary: string[] = [];
  const policy = { type: "backoff", delayMs: 60_000, maxDelayMs: 60_000 } as const;
  const supervisor = startSupervisor(clock, [fragile("a", diary, { policy })]);
  supervisor.tell("a", "die");
  supervisor.actor.send({ type: "child.restart", id: "a" });
  expect(clock.pending()).toEqual([]);
  await clock.advance(120_000);
  expect(diary).toEqual(["a up", "a down", "a up"]);
});

test("an operator who restarts a child at the moment of its crash gets one new life, not two", () => {
  const supervisor = startSupervisor(virtualClock(), [fragile("a", [])]);
  supervisor.actor.on("child.crashed", () => supervisor.actor.send({ type: "child.restart", id: "a" }));
  childOf(supervisor, "a", 1).send({ type: "die" });
  expect(supervisor.said()).toEqual(["started a", "crashed a", "started a"]);
  expect(supervisor.report("a")).toEqual({ id: "a", status: "running", restarts: 1 });
});

test("a clean-up that throws is not taken for a crash of the next life", () => {
  const logic = fromCallback(() => () => {
    throw new Error("cannot close twice");
  });
  const supervisor = startSupervisor(virtualClock(), [{ id: "a", logic, restart: "permanent" }]);
  supervisor.actor.send({ type: "child.restart", id: "a" });
  expect(supervisor.said()).toEqual(["started a", "started a"]);
  supervisor.actor.send({ type: "stop" });
  expect(supervisor.actor.getSnapshot().status).toBe("done");
});

test("a second stop changes nothing", () => {
  const supervisor = startSupervisor(virtualClock(), [fragile("a", [], { restart: "transient" })]);
  supervisor.tell("a", "finish");
  supervisor.actor.send({ type: "child.stop", id: "a" });
  expect(supervisor.said()).toEqual(["started a", "stopped a"]);
  expect(supervisor.report("a")?.reason).toBe("it completed");
});

test("of a place that another child takes nothing is left", async () => {
  const clock = virtualClock();
  const supervisor = startSupervisor(clock, [fragile("a", [], { restart: "transient" })]);
  supervisor.tell("a", "die");
  expect(clock.pending()).toEqual([restartLimits.stableRunMs]);
  supervisor.tell("a", "finish");
  expect(clock.pending()).toEqual([]);
  supervisor.actor.send({ type: "child.add", spec: fragile("a", []) });
  expect(supervisor.report("a")).toEqual({ id: "a", status: "running", restarts: 0 });
  supervisor.actor.send({ type: "stop" });
  await clock.advance(1_000);
  expect(supervisor.actor.getSnapshot().children).toEqual({});
});
