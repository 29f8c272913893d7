import fc from "fast-check";
import { expect, test } from "vitest";
import type { BusMessage } from "../../src/bus/bus.ts";
import { connectionLost } from "../../src/bus/failures.ts";
import { createPendingCalls } from "../../src/bus/pending-calls.ts";
import { busLimits, lostCallLimits } from "../../src/limits.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const answer = (subject: string): BusMessage => ({
  subject,
  data: new Uint8Array(0),
  replyTo: undefined,
  header: () => undefined,
  headerNames: () => [],
  respond: () => {},
});

test("every call settles once, with its answer or at its own deadline, and one timer serves them all", async () => {
  const plan = fc.array(
    fc.record({
      startMs: fc.integer({ min: 0, max: 200 }),
      timeoutMs: fc.integer({ min: 1, max: 200 }),
      answerAfterMs: fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }),
    }),
    { maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(plan, async (calls) => {
      const clock = virtualClock();
      const pending = createPendingCalls(clock);
      const outcomes: unknown[] = calls.map(() => undefined);
      for (let now = 0; now <= 520; now += 1) {
        for (const [index, { startMs, timeoutMs, answerAfterMs }] of calls.entries()) {
          if (startMs + (answerAfterMs ?? Number.NaN) === now && startMs < now)
            pending.answer(`t${index}`, answer("a"));
          if (startMs !== now) continue;
          pending.open(`t${index}`, "s", timeoutMs, undefined).then(
            () => (outcomes[index] = ["answered", clock.now()]),
            (error: { code: string }) => (outcomes[index] = [error.code, clock.now()]),
          );
          if (answerAfterMs === 0) pending.answer(`t${index}`, answer("a"));
        }
        expect(clock.pending().length).toBeLessThanOrEqual(1);
        await clock.advance(1);
      }
      // Time had moved on by one when an answer was given between two steps.
      const expected = calls.map(({ startMs, timeoutMs, answerAfterMs }) =>
        answerAfterMs !== undefined && answerAfterMs < timeoutMs
          ? ["answered", startMs + answerAfterMs]
          : ["TIMEOUT", startMs + timeoutMs],
      );
      expect(outcomes).toEqual(expected);
      expect([pending.size, clock.pending()]).toEqual([0, []]);
    }),
    { numRuns: 100 },
  );
});

test("a call with a nearer deadline than all others does not wait for theirs", async () => {
  const clock = virtualClock();
  const pending = createPendingCalls(clock);
  const late = pending.open("late", "s", 1_000, undefined);
  const soon = expect(pending.open("soon", "s", 10, undefined)).rejects.toMatchObject({ code: "TIMEOUT" });
  await clock.advance(10);
  await soon;
  expect([pending.size, clock.pending()]).toEqual([1, [1_000]]);
  pending.answer("late", answer("s"));
  await expect(late).resolves.toMatchObject({ subject: "s" });
});

test("failing all calls leaves no timer, failing those to one subject leaves the others", async () => {
  const clock = virtualClock();
  const pending = createPendingCalls(clock);
  const [a, b] = [pending.open("1", "a", 50, undefined), pending.open("2", "b", 60, undefined)];
  pending.failAll(connectionLost, "a");
  await expect(a).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE", details: { subject: "a" } });
  expect(pending.size).toBe(1);
  pending.failAll(connectionLost);
  await expect(b).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE", details: { subject: "b" } });
  expect([pending.size, clock.pending()]).toEqual([0, []]);
});

test("an endless timeout ends at the limit", async () => {
  const clock = virtualClock();
  const pending = createPendingCalls(clock);
  const endless = expect(pending.open("1", "a", Number.POSITIVE_INFINITY, undefined)).rejects.toMatchObject({
    code: "TIMEOUT",
  });
  await clock.advance(busLimits.requestTimeoutMsMax);
  await endless;
});

test("a settled call lets go of its caller's signal", async () => {
  const pending = createPendingCalls(virtualClock());
  const controller = new AbortController();
  const listeners = new Set<unknown>();
  const { signal } = controller;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: never, options: never) => {
    listeners.add(listener);
    add(type, listener, options);
  };
  signal.removeEventListener = (type: string, listener: never) => {
    listeners.delete(listener);
    remove(type, listener);
  };
  const call = pending.open("1", "a", 50, signal);
  expect(listeners.size).toBe(1);
  pending.answer("1", answer("a"));
  await call;
  expect(listeners.size).toBe(0);
});

test("slow calls are told of, oldest first, for as long as they wait, and others never", async () => {
  const clock = virtualClock();
  const pending = createPendingCalls(clock);
  const told: unknown[] = [];
  const end = pending.onSlow((waiting) => told.push(waiting));
  const calls = [pending.open("slow", "a", 1_100, undefined).catch(() => "timeout")];
  await clock.advance(100);
  calls.push(pending.open("later", "b", 5_000, undefined).then(() => "answered"));
  pending.open("soon", "c", 5_000, undefined).catch(() => undefined);
  await clock.advance(300);
  pending.answer("soon", answer("c"));
  await clock.advance(700);
  const [slow, later] = [
    { subject: "a", token: "slow" },
    { subject: "b", token: "later" },
  ];
  expect(told).toEqual([
    [
      { ...slow, waitedMs: 600 },
      { ...later, waitedMs: 500 },
    ],
    [
      { ...slow, waitedMs: 800 },
      { ...later, waitedMs: 700 },
    ],
    [
      { ...slow, waitedMs: 1_000 },
      { ...later, waitedMs: 900 },
    ],
    [{ ...later, waitedMs: 1_000 }],
  ]);
  pending.answer("later", answer("b"));
  end();
  await clock.advance(lostCallLimits.lookEveryMs);
  expect([await Promise.all(calls), pending.size, clock.pending()]).toEqual([["timeout", "answered"], 0, []]);
});
