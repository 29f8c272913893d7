import { describe, expect, test } from "vitest";
import { restartLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { fragile, startSupervisor } from "../support/supervised-parts.ts";
import { virtualClock } from "../support/virtual-clock.ts";

describe("intensity", () => {
  test("one crash more than allowed within the period gives the child up; a restart by hand starts afresh", () => {
    const supervisor = startSupervisor(virtualClock(), [fragile("a", []), fragile("b", [])]);
    for (let crash = 0; crash <= restartLimits.supervisorIntensity; crash++) supervisor.tell("a", "die");
    expect(supervisor.report("a")).toMatchObject({ status: "failed", restarts: 5 });
    expect(supervisor.report("b")).toEqual({ id: "b", status: "running", restarts: 0 });
    expect(supervisor.actor.getSnapshot().status).toBe("active");

    supervisor.tell("a", "greet");
    expect(supervisor.facts.at(-1)).toEqual({
      type: "child.refused",
      id: "a",
      reason: "no child of that id is running",
    });
    supervisor.actor.send({ type: "child.restart", id: "a" });
    expect(supervisor.report("a")).toEqual({ id: "a", status: "running", restarts: 6 });
    for (let crash = 0; crash < restartLimits.supervisorIntensity; crash++) supervisor.tell("a", "die");
    expect(supervisor.report("a")?.status).toBe("running");
  });

  test("the same crashes over more than the period are all restarted", async () => {
    const clock = virtualClock();
    const supervisor = startSupervisor(clock, [fragile("a", [])]);
    for (let crash = 0; crash < 30; crash++) {
      await clock.advance(restartLimits.supervisorPeriodMs / restartLimits.supervisorIntensity + 1);
      supervisor.tell("a", "die");
    }
    expect(supervisor.report("a")).toEqual({ id: "a", status: "running", restarts: 30 });
  });

  test("with escalation the others are stopped in reverse order and the supervisor fails, saying for whom", async () => {
    const clock = virtualClock();
    const diary: string[] = [];
    const parts = [
      fragile("a", diary),
      fragile("b", diary, { policy: { type: "never" } }),
      fragile("c", diary),
    ];
    const supervisor = startSupervisor(clock, parts, { escalate: true });
    supervisor.tell("b", "die");
    expect(supervisor.errors).toEqual([]);
    await clock.advance(10_000);
    expect(diary).toEqual(["a up", "b up", "c up", "b down", "c down", "a down"]);
    expect(supervisor.errors).toHaveLength(1);
    expect(supervisor.errors[0]).toBeInstanceOf(Failure);
    expect(supervisor.errors[0]).toMatchObject({
      code: "INTERNAL_ERROR",
      message: "a supervised part is given up: b: policy never: not restarted after this crash: b died",
    });
    expect(supervisor.said().slice(3)).toEqual(["crashed b", "failed b", "stopped c", "stopped a"]);
    expect(supervisor.actor.getSnapshot().status).toBe("error");
    expect(clock.pending()).toEqual([]);
  });
});

describe("a fault of supervision itself", () => {
  test("a restart policy that breaks gives its child up and touches nobody else", () => {
    const broken = () => {
      throw new Error("no entropy");
    };
    const supervisor = startSupervisor(
      virtualClock(),
      [fragile("a", [], { policy: { type: "backoff" } }), fragile("b", [])],
      { chance: broken },
    );
    supervisor.tell("a", "die");
    expect(supervisor.report("a")).toEqual({
      id: "a",
      status: "failed",
      restarts: 0,
      reason: "its restart policy broke: no entropy",
    });
    supervisor.tell("b", "die");
    expect(supervisor.report("b")).toEqual({ id: "b", status: "running", restarts: 1 });
  });

  test("a policy that does not exist gives its child up and ends it", () => {
    const diary: string[] = [];
    const policy = { type: "sometimes" } as never;
    const supervisor = startSupervisor(virtualClock(), [
      fragile("a", diary, { policy }),
      fragile("b", diary),
    ]);
    expect(supervisor.report("a")?.status).toBe("failed");
    expect(supervisor.report("a")?.reason).toMatch(/^its restart policy broke: /);
    expect(supervisor.report("b")?.status).toBe("running");
    expect(diary.filter((line) => line.startsWith("a"))).toEqual(["a up", "a down"]);
  });

  test("a place that breaks gives its child up and leaves nothing running; a new child can take it", () => {
    const diary: string[] = [];
    let clockIsBroken = true;
    const now = () => {
      if (clockIsBroken) throw new Error("no clock");
      return 0;
    };
    const supervisor = startSupervisor(virtualClock(), [fragile("a", diary), fragile("b", diary)], { now });
    supervisor.tell("a", "die");
    expect(supervisor.report("a")).toEqual({
      id: "a",
      status: "failed",
      restarts: 0,
      reason: "its supervision broke: no clock",
    });
    expect(diary).toEqual(["a up", "b up", "a down"]);
    clockIsBroken = false;
    supervisor.actor.send({ type: "child.restart", id: "a" });
    supervisor.actor.send({ type: "child.add", spec: fragile("a", diary) });
    expect(supervisor.said().slice(2)).toEqual(["failed a", "refused a", "started a"]);
    expect(diary).toEqual(["a up", "b up", "a down", "a up"]);
  });
});
