import { moduleLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";

/** What a refusal of a module says besides its sentence. */
export interface RefusalContext {
  fix: string;
  /** The failure that led to this one. */
  cause?: unknown;
  [detail: string]: unknown;
}

/** The refusal of a module: INVALID_MODULE with what to do, and every other member of `context` as a detail. */
export function invalidModule(message: string, { fix, cause, ...details }: RefusalContext): Failure {
  return new Failure("INVALID_MODULE", message, { fix, details, ...(cause === undefined ? {} : { cause }) });
}

/** The refusal of a module that holds more of something than a limit allows; names both numbers. */
export function overLimit(what: string, found: number, limit: number, offset: number): Failure {
  return invalidModule(`${what}: ${found}, where at most ${limit} are allowed`, {
    fix: "Build a smaller module, or split it into several guests.",
    found,
    limit,
    offset,
  });
}

/**
 * Text of a guest in quotes, fit to stand in a message: unprintable characters are replaced and no more than
 * `charactersMax` (by default `moduleLimits.quotedCharactersMax`) are shown.
 */
export function quote(text: string, charactersMax: number = moduleLimits.quotedCharactersMax): string {
  return `"${printable(text, charactersMax)}"`;
}

/** The same as {@link quote}, without the quotes. */
export function printable(text: string, charactersMax: number = moduleLimits.quotedCharactersMax): string {
  // Cut before replacing: a hostile text may be megabytes long.
  const shown = text.slice(0, charactersMax).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
  return text.length > charactersMax ? `${shown}…` : shown;
}
