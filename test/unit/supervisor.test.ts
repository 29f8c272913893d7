import { createActor, setup, type AnyActorRef } from "xstate";
import { describe, expect, test } from "vitest";
import { supervisorMachine, type SupervisorFact } from "../../actors/supervisor/supervisor-machine.ts";
import { seededChance } from "../../src/chance.ts";
import { restartLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { fragile, promisedPart, startSupervisor, stillbornPart } from "../support/supervised-parts.ts";
import { virtualClock } from "../support/virtual-clock.ts";

describe("which end leads to a restart", () => {
  test.each([
    ["permanent", "die", ["started", "crashed", "restarting", "started"], "running"],
    ["permanent", "finish", ["started", "crashed", "restarting", "started"], "running"],
    ["transient", "die", ["started", "crashed", "restarting", "started"], "running"],
    ["transient", "finish", ["started", "stopped"], "stopped"],
    ["temporary", "die", ["started", "crashed", "stopped"], "stopped"],
    ["temporary", "finish", ["started", "stopped"], "stopped"],
  ] as const)("a %s child that is made to %s", (restart, event, facts, status) => {
    const supervisor = startSupervisor(virtualClock(), [fragile("a", [], { restart })]);
    supervisor.tell("a", event);
    expect(supervisor.said()).toEqual(facts.map((fact) => `${fact} a`));
    expect(supervisor.report("a")?.status).toBe(status);
  });

  test("a crash is told with its reason, the restart with its moment, and the start with its number", () => {
    const supervisor = startSupervisor(virtualClock(77), [fragile("a", [])]);
    supervisor.tell("a", "die");
    expect(supervisor.facts).toEqual([
      { type: "child.started", id: "a", restarts: 0 },
      { type: "child.crashed", id: "a", reason: "a died" },
      { type: "child.restarting", id: "a", attempt: 1, delayMs: 0, at: 77 },
      { type: "child.started", id: "a", restarts: 1 },
    ]);
    expect(supervisor.report("a")).toEqual({ id: "a", status: "running", restarts: 1 });
  });

  test("a child with a backoff is restarted when its delay is over, and not a millisecond before", async () => {
    const clock = virtualClock();
    const policy = { type: "backoff", delayMs: 10_000, maxRetries: 1 } as const;
    const supervisor = startSupervisor(clock, [fragile("a", [], { policy })]);
    supervisor.tell("a", "die");
    const fact = supervisor.facts.at(-1);
    if (fact?.type !== "child.restarting") throw new Error("not restarting");
    expect(supervisor.report("a")).toEqual({ id: "a", status: "restarting", restarts: 0, reason: "a died" });
    await clock.advance(fact.delayMs - 1);
    expect(supervisor.report("a")?.status).toBe("restarting");
    await clock.advance(1);
    expect(supervisor.report("a")).toEqual({ id: "a", status: "running", restarts: 1 });
    supervisor.tell("a", "die");
    expect(supervisor.report("a")?.status).toBe("failed");
  });
});

describe("what a child may be", () => {
  test("a promise that rejects is restarted, and one that is stopped has its signal aborted", async () => {
    const clock = virtualClock();
    const { logic, lives, aborted } = promisedPart();
    const supervisor = startSupervisor(clock, [{ id: "p", logic, restart: "transient" }]);
    lives[0]?.reject(new Failure("COMMUNICATION_FAILURE", "the bus is gone"));
    await clock.advance(0);
    expect(supervisor.facts[1]).toEqual({
      type: "child.crashed",
      id: "p",
      reason: "COMMUNICATION_FAILURE: the bus is gone",
    });
    supervisor.actor.send({ type: "child.stop", id: "p" });
    expect({ lives: lives.length, aborted, report: supervisor.report("p") }).toEqual({
      lives: 2,
      aborted: [2],
      report: { id: "p", status: "stopped", restarts: 1, reason: "it was told to" },
    });
    lives[1]?.reject(new Error("too late to matter"));
    await clock.advance(0);
    expect(supervisor.report("p")?.status).toBe("stopped");
  });

  test("a promise that resolves has completed", async () => {
    const clock = virtualClock();
    const { logic, lives } = promisedPart();
    const supervisor = startSupervisor(clock, [{ id: "p", logic, restart: "transient" }]);
    lives[0]?.resolve();
    await clock.advance(0);
    expect(supervisor.report("p")).toEqual({
      id: "p",
      status: "stopped",
      restarts: 0,
      reason: "it completed",
    });
  });

  test("a child that throws at its start is given up after the intensity, while its siblings run", () => {
    const diary: string[] = [];
    const supervisor = startSupervisor(virtualClock(), [
      { id: "bad", logic: stillbornPart, restart: "permanent" },
      fragile("good", diary),
    ]);
    expect(supervisor.report("bad")).toEqual({
      id: "bad",
      status: "failed",
      restarts: restartLimits.supervisorIntensity,
      reason:
        "policy always: 6 crashes within 30 s, of which at most 5 are restarted; the last one: no such address",
    });
    expect(supervisor.report("good")).toEqual({ id: "good", status: "running", restarts: 0 });
    expect(diary).toEqual(["good up"]);
  });

  test("what a child says to its parent comes through with its name", () => {
    const supervisor = startSupervisor(virtualClock(), [fragile("a", [])]);
    supervisor.tell("a", "greet");
    expect(supervisor.facts.at(-1)).toEqual({
      type: "child.told",
      id: "a",
      event: { type: "hello", from: "a" },
    });
  });

  test("what a crashed child had running is ended before its next life begins", () => {
    const diary: string[] = [];
    const supervisor = startSupervisor(virtualClock(), [fragile("a", diary)]);
    supervisor.tell("a", "die");
    supervisor.tell("a", "die");
    expect(diary).toEqual(["a up", "a down", "a up", "a down", "a up"]);
  });

  test("a supervisor of many lives does not keep the dead ones", async () => {
    const clock = virtualClock();
    const supervisor = startSupervisor(clock, [fragile("a", [])]);
    for (let life = 0; life < 50; life++) {
      supervisor.tell("a", "die");
      await clock.advance(restartLimits.supervisorPeriodMs);
    }
    const place = supervisor.actor.getSnapshot().children["a"];
    expect(supervisor.report("a")?.restarts).toBe(50);
    expect(Object.keys(place?.getSnapshot().children ?? {})).toEqual(["a/policy-1", "a/life-51"]);
  });
});

test("a parent hears of its supervisor's children without listening to anything", () => {
  const heard: SupervisorFact[] = [];
  const parent = setup({
    types: {} as { events: SupervisorFact },
    actors: { parts: supervisorMachine },
  }).createMachine({
    invoke: {
      src: "parts",
      id: "parts",
      input: {
        children: [{ id: "bad", logic: stillbornPart, restart: "permanent", policy: { type: "never" } }],
        now: () => 0,
        chance: seededChance(1),
      },
    },
    on: { "child.*": { actions: ({ event }) => void heard.push(event) } },
  });
  const actor = createActor(parent, { clock: virtualClock() }).start();
  expect(heard.map((fact) => fact.type)).toEqual(["child.started", "child.crashed", "child.failed"]);
  expect((actor.getSnapshot().children.parts as AnyActorRef).getSnapshot().status).toBe("active");
});
