import { headers } from "../protocol/calls.ts";
import { type ErrorBody, errorBody, Failure, failureOf, isErrorCode } from "../protocol/errors.ts";
import type { BusMessage } from "./bus.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Answers a call or a capability call with a failure: code and message as headers, the error as JSON body. */
export function respondFailure(message: BusMessage, error: unknown, nowMs: number): void {
  const body = errorBody(error, new Date(nowMs).toISOString());
  message.respond(encoder.encode(JSON.stringify(body)), {
    [headers.errorCode]: body.code,
    [headers.error]: inOneLine(body.message),
  });
}

/** The failure that an answer to a call stands for, or undefined when the call succeeded. */
export function failureInAnswer(answer: BusMessage): Failure | undefined {
  const code = answer.header(headers.errorCode);
  if (code === undefined) return undefined;
  try {
    const body = JSON.parse(decoder.decode(answer.data)) as ErrorBody;
    if (isErrorCode(body.code)) return failureOf(body);
  } catch {
    // An answerer of another make may send headers alone.
  }
  return new Failure(isErrorCode(code) ? code : "INTERNAL_ERROR", answer.header(headers.error) ?? code);
}

function inOneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, 1_024);
}
