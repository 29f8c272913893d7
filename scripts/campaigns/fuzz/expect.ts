import { type ErrorCode, Failure } from "../../../src/protocol/errors.ts";
import { fuzzLimits } from "./limits.ts";

/** What is not text for a terminal: controls, and marks that turn or hide text. */
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for.
const unprintable = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

/** Throws unless the condition holds. */
export function holds(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

/**
 * What `work` gives, or undefined where it is refused with one of these codes, in words that are short and printable.
 * Everything else that it throws goes on.
 */
export function takenOrRefused<Value>(codes: readonly ErrorCode[], work: () => Value): Value | undefined {
  try {
    return work();
  } catch (error) {
    expectRefusal(error, codes);
    return undefined;
  }
}

/** As {@link takenOrRefused}, of a promise. */
export async function takenOrRefusedLater<Value>(
  codes: readonly ErrorCode[],
  work: () => Promise<Value>,
): Promise<Value | undefined> {
  try {
    return await work();
  } catch (error) {
    expectRefusal(error, codes);
    return undefined;
  }
}

function expectRefusal(error: unknown, codes: readonly ErrorCode[]): void {
  if (!(error instanceof Failure)) throw error;
  const { code, message, fix = "", details = {} } = error;
  holds(codes.includes(code), `refused with ${code}: ${message}`);
  holds(
    message.length <= fuzzLimits.messageCharactersMax,
    `a refusal of ${message.length} characters: ${message.slice(0, 200)}`,
  );
  holds(!unprintable.test(message), `a refusal that is not printable: ${JSON.stringify(message)}`);
  holds(!unprintable.test(fix), `a fix that is not printable: ${JSON.stringify(fix)}`);
  const extent = JSON.stringify(details).length;
  holds(extent <= 4 * fuzzLimits.messageCharactersMax, `details of ${extent} characters: ${message}`);
}
