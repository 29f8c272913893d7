import { expect, test } from "vitest";
import type { ChildSpec } from "../../actors/supervisor/child-spec.ts";
import { supervisorMachine } from "../../actors/supervisor/supervisor-machine.ts";
import { seededChance } from "../../src/chance.ts";
import { restartLimits } from "../../src/limits.ts";
import { childOf, fragile, startSupervisor } from "../support/supervised-parts.ts";
import { virtualClock } from "../support/virtual-clock.ts";

test("children end in reverse order, each one only when the one after it has ended", async () => {
  const clock = virtualClock();
  const diary: string[] = [];
  const supervisor = startSupervisor(clock, [fragile("a", diary), fragile("b", diary), fragile("c", diary)]);
  supervisor.actor.send({ type: "stop" });
  await clock.advance(999);
  expect(diary).toEqual(["a up", "b up", "c up"]);
  await clock.advance(1);
  expect(diary.slice(3)).toEqual(["c down"]);
  await clock.advance(1_000);
  expect(diary.slice(3)).toEqual(["c down", "b down"]);
  await clock.advance(1_000);
  expect(diary.slice(3)).toEqual(["c down", "b down", "a down"]);
  expect(supervisor.said().slice(3)).toEqual(["stopped c", "stopped b", "stopped a"]);
  expect(supervisor.actor.getSnapshot().status).toBe("done");
  expect(clock.pending()).toEqual([]);
});

test("a child that does not end is ended by force when its time is up", async () => {
  const clock = virtualClock();
  const diary: string[] = [];
  const supervisor = startSupervisor(clock, [fragile("a", diary), fragile("b", diary, { stopMs: 300 })]);
  supervisor.tell("a", "hang");
  supervisor.tell("b", "hang");
  supervisor.actor.send({ type: "stop" });
  await clock.advance(299);
  expect(diary.slice(2)).toEqual([]);
  await clock.advance(1);
  expect(diary.slice(2)).toEqual(["b down"]);
  await clock.advance(restartLimits.supervisorStopMs);
  expect(diary.slice(2)).toEqual(["b down", "a down"]);
  expect(supervisor.actor.getSnapshot().status).toBe("done");
});

test("a child that waits for its restart, has failed or is stopped does not hold up the end", async () => {
  const clock = virtualClock();
  const policy = { type: "backoff", delayMs: 60_000 } as const;
  const supervisor = startSupervisor(clock, [
    fragile("stopped", [], { restart: "temporary" }),
    fragile("failed", [], { policy: { type: "never" } }),
    fragile("waiting", [], { policy }),
  ]);
  supervisor.tell("stopped", "finish");
  supervisor.tell("failed", "die");
  supervisor.tell("waiting", "die");
  supervisor.actor.send({ type: "stop" });
  expect(supervisor.actor.getSnapshot().status).toBe("done");
  expect(clock.pending()).toEqual([]);
  expect(supervisor.actor.getSnapshot().context.children.map((child) => child.status)).toEqual([
    "stopped",
    "failed",
    "stopped",
  ]);
});

test("while it stops nothing new begins: commands are refused and a crash is no reason to restart", async () => {
  const clock = virtualClock();
  const diary: string[] = [];
  const supervisor = startSupervisor(clock, [fragile("a", diary), fragile("b", diary)]);
  supervisor.actor.send({ type: "stop" });
  supervisor.actor.send({ type: "child.restart", id: "a" });
  supervisor.actor.send({ type: "child.add", spec: fragile("c", diary) });
  expect(supervisor.facts.slice(2)).toEqual([
    { type: "child.refused", id: "a", reason: "the supervisor is stopping" },
    { type: "child.refused", id: "c", reason: "the supervisor is stopping" },
  ]);
  await clock.advance(10_000);
  expect(diary).toEqual(["a up", "b up", "b down", "a down"]);
});

test("a child that crashes while it is being stopped has ended, and is not restarted", async () => {
  const clock = virtualClock();
  const diary: string[] = [];
  const supervisor = startSupervisor(clock, [fragile("a", diary)]);
  const child = childOf(supervisor, "a", 1);
  supervisor.tell("a", "hang");
  supervisor.actor.send({ type: "stop" });
  child.send({ type: "die" });
  expect(diary).toEqual(["a up", "a down"]);
  expect(supervisor.said()).toEqual(["started a", "stopped a"]);
  expect(supervisor.actor.getSnapshot().status).toBe("done");
  expect(clock.pending()).toEqual([]);
});

test("a supervisor under a supervisor ends its own children before its elder sibling ends", async () => {
  const clock = virtualClock();
  const diary: string[] = [];
  const inner: ChildSpec = {
    id: "inner",
    logic: supervisorMachine,
    input: {
      children: [fragile("x", diary), fragile("y", diary)],
      now: () => clock.now(),
      chance: seededChance(1),
    },
    restart: "permanent",
    stopMs: 30_000,
  };
  const supervisor = startSupervisor(clock, [fragile("a", diary), inner]);
  supervisor.actor.send({ type: "stop" });
  await clock.advance(3_000);
  expect(diary).toEqual(["a up", "x up", "y up", "y down", "x down", "a down"]);
  expect(supervisor.facts).toContainEqual({
    type: "child.told",
    id: "inner",
    event: { type: "child.stopped", id: "y", reason: "its supervisor stops" },
  });
  expect(supervisor.actor.getSnapshot().status).toBe("done");
});
