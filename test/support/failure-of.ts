import { Failure } from "../../src/protocol/errors.ts";

/** The failure that `work` throws; anything else, or nothing, is an error of its own. */
export function failureFrom(work: () => unknown): Failure {
  try {
    work();
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
  throw new Error("no failure was thrown");
}
