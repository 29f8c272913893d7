import { expect } from "vitest";
import { Failure } from "../../src/protocol/errors.ts";

/** Waits for a rejection with this code, whose message has `text` in it and which says what to do. */
export async function expectRefusal(attempt: Promise<unknown>, code: string, text: string): Promise<void> {
  const error: unknown = await attempt.then(
    () => "no refusal",
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Failure);
  expect(error).toMatchObject({ code, fix: expect.any(String) as string });
  expect((error as Failure).message).toContain(text);
}
