import { asFailure, errorBody } from "../../src/protocol/errors.ts";
import type { Paint } from "./paint.ts";
import { onTerminal } from "./terminal-text.ts";

/** A failure for stderr: code and message, then what to do about it; with `json` as the body that travels. */
export function failureText(error: unknown, form: { json: boolean; paint: Paint; at: string }): string {
  const failure = asFailure(error);
  if (form.json) return JSON.stringify({ ok: false, error: errorBody(failure, form.at) });
  const first = `${form.paint.red(form.paint.bold(failure.code))}: ${onTerminal(failure.message, "\n")}`;
  return failure.fix === undefined
    ? first
    : `${first}\n${form.paint.cyan("→")} ${onTerminal(failure.fix, "\n")}`;
}
