import { expect, test } from "vitest";
import { firstAnswer } from "../../src/bus/first-answer.ts";
import { Failure, failureOf } from "../../src/protocol/errors.ts";
import { virtualClock } from "../support/virtual-clock.ts";

test("R8.2: a request that is given up between two attempts is over, although no attempt waits for an answer", async () => {
  const clock = virtualClock();
  const lost = new AbortController();
  let attempts = 0;
  const asking = firstAnswer(
    { clock, timeoutMs: 60_000, repeatMs: 2_000, signal: lost.signal },
    async (): Promise<string> => {
      attempts += 1;
      throw new Failure("COMMUNICATION_FAILURE", "not connected");
    },
  );
  const outcome = asking.catch((error: unknown) => error);
  await clock.advance(5_000);
  expect(attempts).toBe(3);
  const reason = new Error("the node was lost meanwhile");
  lost.abort(reason);
  await clock.advance(60_000);
  expect(await Promise.race([outcome, Promise.resolve("still waiting")])).toBe(reason);
});

test("R8.2: a failure that was answered is the answer, also where its code is that of a lost connection", async () => {
  const clock = virtualClock();
  let attempts = 0;
  const asking = firstAnswer({ clock, timeoutMs: 60_000, repeatMs: 2_000 }, async (): Promise<string> => {
    attempts += 1;
    const timestamp = "2026-01-01T00:00:00.000Z";
    throw failureOf({
      code: "COMMUNICATION_FAILURE",
      message: "the guest could not be put on the bus",
      timestamp,
      retry: "later",
    });
  });
  const outcome = asking.catch((error: unknown) => error);
  await clock.advance(10_000);
  expect(attempts).toBe(1);
  const settled = await Promise.race([outcome, Promise.resolve("still waiting")]);
  expect(settled).toMatchObject({ message: "the guest could not be put on the bus" });
});
