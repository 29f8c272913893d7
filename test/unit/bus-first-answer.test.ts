import { expect, test } from "vitest";
import { firstAnswer } from "../../src/bus/first-answer.ts";
import { Failure } from "../../src/protocol/errors.ts";
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
