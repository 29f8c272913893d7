import { Failure } from "../../../protocol/errors.ts";

/** `wasi:io/error` error: what broke a stream, as text. */
export class IoError {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** For people; no program should read it. */
  toDebugString(): string {
    return this.#text;
  }
}

/** `wasi:io/streams` stream-error, which is thrown as it is: no `Error`, so that it reaches the guest as a result. */
export type StreamError =
  | { readonly tag: "closed" }
  | { readonly tag: "last-operation-failed"; readonly val: IoError };

/** Reading or writing where nothing comes or goes any more. */
export const closed: StreamError = { tag: "closed" };

/** The stream-error of a failure. */
export function failed(failure: Failure): StreamError {
  return { tag: "last-operation-failed", val: new IoError(failureText(failure)) };
}

/** A failure in the words of an interface whose errors are text. */
export function failureText(failure: Failure): string {
  return `${failure.code}: ${failure.message}`;
}

/**
 * The failure that a host's work ended with. What is none (the call was given up, a fault, a bug) is thrown on: it
 * ends the guest, which may not handle it.
 */
export function expectedFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  throw thrown;
}
