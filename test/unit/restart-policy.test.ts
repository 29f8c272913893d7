import { describe, expect, test } from "vitest";
import { restartLimits } from "../../src/limits.ts";
import { startOwner } from "../support/policy-owner.ts";
import { virtualClock } from "../support/virtual-clock.ts";

describe("policy never (R15.1)", () => {
  test("the first crash is the last one, and later ones are not answered", async () => {
    const clock = virtualClock(1_000);
    const owner = startOwner(clock, { policy: { type: "never" } });
    owner.crash("unreachable executed");
    owner.crash("again");
    owner.running();
    await clock.advance(restartLimits.stableRunMs * 2);
    owner.crash("and again");
    expect(owner.heard).toEqual([
      {
        heardAt: 1_000,
        type: "restart.gave-up",
        reason: "policy never: not restarted after this crash: unreachable executed",
      },
    ]);
    expect(clock.pending()).toEqual([]);
  });
});

describe("policy always (R15.2)", () => {
  test("a crash is answered at once, also when the restart itself fails", () => {
    const clock = virtualClock(5);
    const owner = startOwner(clock, { policy: { type: "always" } });
    owner.crash();
    owner.running();
    owner.crash();
    owner.crash("the restart failed");
    expect(owner.heard).toEqual([
      { heardAt: 5, type: "restart.now", attempt: 1 },
      { heardAt: 5, type: "restart.now", attempt: 2 },
      { heardAt: 5, type: "restart.now", attempt: 3 },
    ]);
  });

  test("a hot loop is given up at one crash more than the intensity within the period, with the counts", async () => {
    const clock = virtualClock();
    const owner = startOwner(clock, { policy: { type: "always" } });
    const stepMs = restartLimits.alwaysPeriodMs / restartLimits.alwaysIntensity;
    for (let crash = 0; crash <= restartLimits.alwaysIntensity; crash++) {
      if (crash > 0) await clock.advance(stepMs);
      owner.crash(`trap ${crash}`);
      owner.running();
    }
    owner.crash("after the end");
    expect(owner.heard.map((answer) => answer.type)).toEqual([
      ...Array<string>(10).fill("restart.now"),
      "restart.gave-up",
    ]);
    expect(owner.heard.at(-1)).toEqual({
      heardAt: 5_000,
      type: "restart.gave-up",
      reason:
        "policy always: 11 crashes within 5 s, of which at most 10 are restarted; the last one: trap 10",
    });
  });

  test("the same number of crashes over a little more than the period is not a hot loop", async () => {
    const clock = virtualClock();
    const owner = startOwner(clock, { policy: { type: "always" } });
    const stepMs = restartLimits.alwaysPeriodMs / restartLimits.alwaysIntensity + 1;
    for (let crash = 0; crash < 40; crash++) {
      owner.crash();
      owner.running();
      await clock.advance(stepMs);
    }
    expect(owner.heard.map((answer) => answer.type)).toEqual(Array<string>(40).fill("restart.now"));
  });

  test("a stable run makes the attempts count from one again", async () => {
    const clock = virtualClock();
    const owner = startOwner(clock, { policy: { type: "always" } });
    owner.crash();
    owner.running();
    await clock.advance(restartLimits.stableRunMs - 1);
    owner.crash();
    owner.running();
    await clock.advance(restartLimits.stableRunMs);
    owner.crash();
    expect(owner.heard.map((answer) => "attempt" in answer && answer.attempt)).toEqual([1, 2, 1]);
  });
});

describe("policy backoff (R15.3)", () => {
  test("each crash is scheduled first and then restarted at exactly the announced moment", async () => {
    const clock = virtualClock(1_000_000);
    const owner = startOwner(clock, { policy: { type: "backoff", delayMs: 1_000 }, seed: 7 });
    owner.crash();
    const [scheduled] = owner.heard;
    if (scheduled?.type !== "restart.scheduled") throw new Error("not scheduled");
    expect(scheduled).toEqual({
      heardAt: 1_000_000,
      type: "restart.scheduled",
      attempt: 1,
      delayMs: scheduled.delayMs,
      at: 1_000_000 + scheduled.delayMs,
    });
    await clock.advance(scheduled.delayMs - 1);
    expect(owner.heard).toHaveLength(1);
    await clock.advance(1);
    expect(owner.heard.slice(1)).toEqual([{ heardAt: scheduled.at, type: "restart.now", attempt: 1 }]);
  });

  test("without numbers it takes the ones of the limits", async () => {
    const clock = virtualClock();
    const owner = startOwner(clock, { policy: { type: "backoff" } });
    for (let crash = 0; crash <= restartLimits.backoffRetriesDefault; crash++) {
      owner.crash("exit 3");
      await clock.advance(restartLimits.backoffDelayMsMaxDefault);
      owner.running();
    }
    expect(owner.heard.filter((answer) => answer.type === "restart.now")).toHaveLength(5);
    expect(owner.heard.at(-1)).toMatchObject({
      type: "restart.gave-up",
      reason:
        "policy backoff: 5 of 5 restarts are used up without a stable run of 60 s; the last crash: exit 3",
    });
    for (const answer of owner.heard)
      if (answer.type === "restart.scheduled")
        expect(answer.delayMs).toBeLessThanOrEqual(200 * 2 ** (answer.attempt - 1));
  });

  test("no retries at all means that the first crash is the last", () => {
    const owner = startOwner(virtualClock(), { policy: { type: "backoff", maxRetries: 0 } });
    owner.crash();
    expect(owner.heard.map((answer) => answer.type)).toEqual(["restart.gave-up"]);
  });

  test("a crash that is reported twice leads to one restart", async () => {
    const clock = virtualClock();
    const owner = startOwner(clock, { policy: { type: "backoff", delayMs: 1_000 } });
    owner.crash();
    owner.crash("the same, seen by somebody else");
    expect(clock.pending()).toHaveLength(1);
    await clock.advance(restartLimits.stableRunMs);
    expect(owner.heard.map((answer) => answer.type)).toEqual(["restart.scheduled", "restart.now"]);
  });

  test("only a run that is stable gives the tries back", async () => {
    const clock = virtualClock();
    const owner = startOwner(clock, {
      policy: { type: "backoff", delayMs: 1, maxDelayMs: 1, maxRetries: 2 },
    });
    const crashAfter = async (ms: number) => {
      await clock.advance(1);
      owner.running();
      await clock.advance(ms);
      owner.crash();
    };
    owner.crash();
    await crashAfter(restartLimits.stableRunMs);
    await crashAfter(restartLimits.stableRunMs - 1);
    await crashAfter(restartLimits.stableRunMs - 1);
    expect(owner.heard.flatMap((answer) => (answer.type === "restart.now" ? [answer.attempt] : []))).toEqual([
      1, 1, 2,
    ]);
    expect(owner.heard.at(-1)?.type).toBe("restart.gave-up");
  });

  test("the jitter covers the whole range from nothing to the ceiling, evenly", async () => {
    const clock = virtualClock();
    const limits = { stableRunMs: 1 };
    const owner = startOwner(clock, { policy: { type: "backoff", delayMs: 99 }, limits, seed: 2 });
    const perDelay = Array<number>(100).fill(0);
    for (let round = 0; round < 5_000; round++) {
      owner.crash();
      const scheduled = owner.heard.at(-1);
      if (scheduled?.type !== "restart.scheduled") throw new Error("not scheduled");
      perDelay[scheduled.delayMs] = (perDelay[scheduled.delayMs] ?? 0) + 1;
      await clock.advanceToNext();
      owner.running();
      await clock.advanceToNext();
    }
    expect(perDelay).toHaveLength(100);
    // 50 are expected of each; six standard deviations to either side, from a fixed seed.
    expect(Math.min(...perDelay)).toBeGreaterThan(8);
    expect(Math.max(...perDelay)).toBeLessThan(92);
  });
});
