import { watModule } from "./wat.ts";

/** Where {@link wapcGuest} keeps things: the operation, the payload, and what its text puts elsewhere. */
const place = { operation: 0, payload: 1024, data: 8192, host: 16_384 } as const;

const imports = `
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__guest_error" (func $error (param i32 i32)))
  (import "wapc" "__console_log" (func $log (param i32 i32)))`;

const hostCallImports = `
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response" (func $host_response (param i32)))
  (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
  (import "wapc" "__host_error" (func $host_error (param i32)))
  (import "wapc" "__host_error_len" (func $host_error_len (result i32)))`;

/**
 * A waPC guest whose `__guest_call` does `body`; the lengths are `$op` and `$len`, and `$n` is a local.
 * `fields` are imports first, then other fields of the module.
 */
export function wapcGuest(body: string, fields = "", moreImports = ""): WebAssembly.Module {
  return watModule(`(module ${imports} ${moreImports}
    (memory (export "memory") 1)
    ${fields}
    (func (export "__guest_call") (param $op i32) (param $len i32) (result i32) (local $n i32)
      ${body}))`);
}

/** Answers with its payload; cannot suspend. */
export function echoGuest(fields = ""): WebAssembly.Module {
  return wapcGuest(
    `(call $request (i32.const ${place.operation}) (i32.const ${place.payload}))
     (call $response (i32.const ${place.payload}) (local.get $len))
     (i32.const 1)`,
    fields,
  );
}

/**
 * Calls the host with its payload (binding `kv`, namespace `memory`, operation `get`) and answers with the host's
 * response, or with `refused: ` and the host's error. `before` and `after` stand around the call.
 */
export function callingGuest(before = "", after = "", fields = ""): WebAssembly.Module {
  return wapcGuest(
    `(call $request (i32.const ${place.operation}) (i32.const ${place.payload}))
     ${before}
     (call $host_call (i32.const 8192) (i32.const 2) (i32.const 8194) (i32.const 6) (i32.const 8200) (i32.const 3)
       (i32.const ${place.payload}) (local.get $len))
     (if (then
       ${after}
       (call $host_response (i32.const ${place.host}))
       (call $response (i32.const ${place.host}) (call $host_response_len))
     ) (else
       (call $host_error (i32.const ${place.host + 9}))
       (memory.copy (i32.const ${place.host}) (i32.const 8203) (i32.const 9))
       (call $response (i32.const ${place.host}) (i32.add (i32.const 9) (call $host_error_len)))
     ))
     (i32.const 1)`,
    `(data (i32.const ${place.data}) "kvmemorygetrefused: ") ${fields}`,
    hostCallImports,
  );
}
