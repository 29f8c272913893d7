import { wapcText } from "./running-engine.ts";
import { wat } from "./wat.ts";

// Guests whose calls take as long as a test wants: they ask what the test itself answers, or spin.

const answerOrError = `
  (then (call $host_response (i32.const 16384))
        (call $response (i32.const 16384) (call $host_response_len)) (i32.const 1))
  (else (call $host_error (i32.const 16384))
        (call $response (i32.const 16384) (call $host_error_len)) (i32.const 1))`;

/** Calls the guest that is its payload, with the same operation and the payload `patient`, and answers its answer or its error. */
export const relay = {
  bytes: wat(
    wapcText(
      `(if (result i32)
         (call $host_call (i32.const 1024) (local.get $len) (i32.const 8200) (i32.const 5)
           (i32.const 0) (local.get $op) (i32.const 8192) (i32.const 7))
         ${answerOrError})`,
      `(data (i32.const 8192) "patient") (data (i32.const 8200) "actor")`,
    ),
  ),
};

/**
 * Spins until its fuel is used up, whatever it is asked. A turn takes one fuel and about a microsecond, for it fills 32 KiB:
 * an empty loop would use up the most that can be given within seconds, and on a fast machine before any deadline.
 */
export const spinner = {
  bytes: wat(
    wapcText(
      "(loop $again (memory.fill (i32.const 32768) (i32.const 0) (i32.const 32768)) (br $again)) (i32.const 1)",
    ),
  ),
};

/** The guest that a test plays itself: what `relay` hands on, so that a relay behind a relay waits for it. */
export const patient = "patient";
