import { wapcText } from "./running-engine.ts";
import { wat } from "./wat.ts";

/**
 * A guest that asks what it is told to, and answers with what it was answered, or with the error. The operations by which
 * providers call it are answered with `{"status":200}`.
 */
export function relayGuest(): Uint8Array {
  return wat(
    wapcText(
      `(if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 104))
         (then (call $response (i32.const 8192) (i32.const 14)) (return (i32.const 1))))
       (global.set $b (i32.load8_u (i32.const 1024)))
       (global.set $n (i32.load8_u (i32.const 1025)))
       (global.set $o (i32.load8_u (i32.const 1026)))
       (if (result i32)
         (call $host_call
           (i32.const 1027) (global.get $b)
           (i32.add (i32.const 1027) (global.get $b)) (global.get $n)
           (i32.add (i32.const 1027) (i32.add (global.get $b) (global.get $n))) (global.get $o)
           (i32.add (i32.const 1027) (i32.add (global.get $b) (i32.add (global.get $n) (global.get $o))))
           (i32.sub (local.get $len) (i32.add (i32.const 3) (i32.add (global.get $b) (i32.add (global.get $n) (global.get $o))))))
         (then (call $host_response (i32.const 16384))
               (call $response (i32.const 16384) (call $host_response_len)) (i32.const 1))
         (else (call $host_error (i32.const 16384))
               (call $response (i32.const 16384) (call $host_error_len)) (i32.const 1)))`,
      `(global $b (mut i32) (i32.const 0)) (global $n (mut i32) (i32.const 0)) (global $o (mut i32) (i32.const 0))
       (data (i32.const 8192) "{\\22status\\22:200}")`,
    ),
  );
}

/** What to call the relay with, so that it asks this; the operation may be any but those of providers. */
export function relayed(
  capabilityId: string,
  providerType: string,
  operation: string,
  payload: object,
): string {
  const lengths = [capabilityId, providerType, operation].map((text) => String.fromCharCode(text.length));
  return `${lengths.join("")}${capabilityId}${providerType}${operation}${JSON.stringify(payload)}`;
}
