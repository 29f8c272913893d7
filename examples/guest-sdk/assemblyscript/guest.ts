// Only parsed here: the compiler is told by `--use` to call it.
import "./abort";
import { bytes } from "./text";
import { __guest_error, __guest_request, __guest_response } from "./wapc";

/** Performs one operation: gives the answer, or `fail("…")` when there is none. */
export type Handler = (payload: Uint8Array) => Uint8Array;

/** What the compiler calls `--runtime minimal`. */
const MINIMAL = 1;

const operations: string[] = [];
const handlers: Handler[] = [];
let failure: string | null = null;

/** Makes `handler` answer calls of `operation`. To be called from the guest's own `wapc_init`. */
export function register(operation: string, handler: Handler): void {
  operations.push(operation);
  handlers.push(handler);
}

/** Ends the present operation with an error of the guest's own; the guest stays usable. Write `return fail("…")`. */
export function fail(reason: string): Uint8Array {
  failure = reason;
  return new Uint8Array(0);
}

/**
 * The entry of every call; a guest's main file exports it again. 1 when there was an answer, 0 when there was an
 * error. A handler that traps ends the instance, and the host starts a new one.
 */
export function __guest_call(operationLength: i32, payloadLength: i32): i32 {
  // Here, and only here, nothing but globals is alive, which is what the minimal runtime's collector looks at.
  if (ASC_RUNTIME === MINIMAL) __collect();
  const name = new ArrayBuffer(operationLength);
  const payload = new Uint8Array(payloadLength);
  __guest_request(changetype<usize>(name), payload.dataStart);
  failure = null;
  const answer = perform(String.UTF8.decode(name), payload);
  const reason = failure;
  if (reason !== null) {
    const sentence = bytes(reason);
    __guest_error(sentence.dataStart, sentence.byteLength);
    return 0;
  }
  __guest_response(answer.dataStart, answer.byteLength);
  return 1;
}

function perform(operation: string, payload: Uint8Array): Uint8Array {
  const index = operations.indexOf(operation);
  if (index < 0) {
    return fail(`this guest has no operation "${operation}"; it has ${operations.join(", ")}`);
  }
  return handlers[index](payload);
}
