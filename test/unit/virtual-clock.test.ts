import { assign, createActor, createMachine } from "xstate";
import { expect, test } from "vitest";
import { delay } from "../../src/clock.ts";
import { virtualClock } from "../support/virtual-clock.ts";

test("a timer that sets itself again fires at each of its deadlines within one walk", async () => {
  const clock = virtualClock(100);
  const ticks: number[] = [];
  const tick = () => {
    ticks.push(clock.now());
    clock.setTimeout(tick, 1_000);
  };
  clock.setTimeout(tick, 1_000);
  await clock.advance(5_000);
  expect(ticks).toEqual([1_100, 2_100, 3_100, 4_100, 5_100]);
  expect(clock.now()).toBe(5_100);
  expect(clock.pending()).toEqual([6_100]);
});

test("what promises set off between two deadlines happens between them", async () => {
  const clock = virtualClock();
  const seen: string[] = [];
  const twice = async () => {
    await delay(clock, 10);
    await Promise.resolve().then(() => Promise.resolve());
    seen.push(`first at ${clock.now()}`);
    await delay(clock, 10);
    seen.push(`second at ${clock.now()}`);
  };
  const done = twice();
  clock.setTimeout(() => seen.push(`timer at ${clock.now()}`), 15);
  await clock.advance(100);
  await done;
  expect(seen).toEqual(["first at 10", "timer at 15", "second at 20"]);
});

test("timers of one moment fire in the order they were set, and a cleared one does not", async () => {
  const clock = virtualClock();
  const fired: string[] = [];
  clock.setTimeout(() => fired.push("a"), 10);
  const cleared = clock.setTimeout(() => fired.push("b"), 10);
  clock.setTimeout(() => {
    fired.push("c");
    clock.setTimeout(() => fired.push("d"), 0);
  }, 10);
  clock.setTimeout(() => fired.push("later"), 11);
  clock.clearTimeout(cleared);
  expect(await clock.advanceToNext()).toBe(true);
  expect([clock.now(), fired]).toEqual([10, ["a", "c", "d"]]);
  expect(await clock.advanceToNext()).toBe(true);
  expect(await clock.advanceToNext()).toBe(false);
  expect([clock.now(), fired.at(-1)]).toEqual([11, "later"]);
});

test("a timer that Node could not wait for, and a loop without time, are errors", async () => {
  const clock = virtualClock();
  expect(() => clock.setTimeout(() => {}, 2 ** 31)).toThrow(RangeError);
  expect(() => clock.setTimeout(() => {}, Number.NaN)).toThrow(RangeError);
  const again = () => void clock.setTimeout(again, 0);
  again();
  await expect(clock.advance(1)).rejects.toThrow("without end");
});

test("an actor system lives by it", async () => {
  const clock = virtualClock();
  const ticking = createMachine({
    types: {} as { context: { ticks: number } },
    context: { ticks: 0 },
    initial: "waiting",
    states: {
      waiting: {
        after: {
          1_000: {
            target: "waiting",
            reenter: true,
            actions: assign({ ticks: ({ context }) => context.ticks + 1 }),
          },
        },
      },
    },
  });
  const actor = createActor(ticking, { clock }).start();
  await clock.advance(5_000);
  expect(actor.getSnapshot().context.ticks).toBe(5);
  actor.stop();
  expect(clock.pending()).toEqual([]);
});
