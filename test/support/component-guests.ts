import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "@bytecodealliance/jco-transpile/wasm-tools";
import { componentize } from "componentize-qjs";

/** A component out of JavaScript and a WIT text, whose first package holds the one world; takes about 1 s, 1 MB. */
export async function buildComponent(source: string, wit: string): Promise<Uint8Array<ArrayBuffer>> {
  const directory = mkdtempSync(join(tmpdir(), "wasmatrix-component-"));
  try {
    const witPath = join(directory, "world.wit");
    writeFileSync(witPath, wit);
    const { component } = await componentize({ witPath, jsSource: source, sync: true, optSize: true });
    return new Uint8Array(component);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The binary of a component, or of a core module, in the text format. */
export async function componentWat(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await parse(text));
}

/**
 * A component in WAT that does what guests may do wrong: `trap`, `spin`, `recurse`, `grow` until it is refused memory
 * and then trap, `wait` for 292 years; and right: `nap`, `add` two numbers, `count` its own calls.
 */
export const wildComponent = `(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core module $module
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (memory (export "memory") 1)
    (global $calls (mut i32) (i32.const 0))
    (func $trap (export "trap") unreachable)
    (func (export "spin") (loop $again (br $again)))
    (func $recurse (export "recurse") (call $recurse) (call $recurse))
    (func (export "grow")
      (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      unreachable)
    (func (export "wait") (call $block (call $subscribe (i64.const 9223372036854775807))))
    (func (export "nap") (param i64) (call $block (call $subscribe (local.get 0))))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "count") (result i32)
      (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
      (global.get $calls)))
  (core instance $host (export "subscribe" (func $subscribe)) (export "block" (func $block)))
  (core instance $core (instantiate $module (with "host" (instance $host))))
  (func (export "trap") (canon lift (core func $core "trap")))
  (func (export "spin") (canon lift (core func $core "spin")))
  (func (export "recurse") (canon lift (core func $core "recurse")))
  (func (export "grow") (canon lift (core func $core "grow")))
  (func (export "wait") (canon lift (core func $core "wait")))
  (func (export "nap") (param "nanoseconds" u64) (canon lift (core func $core "nap")))
  (func (export "add") (param "one" u32) (param "other" u32) (result u32) (canon lift (core func $core "add")))
  (func (export "count") (result u32) (canon lift (core func $core "count"))))`;

/**
 * Two components in one, in WAT: `call` hands its text over to the other one, which waits for a microsecond and gives
 * it back. Between them is code that the translation adds.
 */
export const composedComponent = `(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (component $echo
    (import "poll" (instance $poll
      (export "pollable" (type $pollable (sub resource)))
      (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "clock" (instance $clock
      (alias outer 1 $pollable (type $outer))
      (export "pollable" (type $pollable (eq $outer)))
      (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core module $m
      (import "h" "subscribe" (func $subscribe (param i64) (result i32)))
      (import "h" "block" (func $block (param i32)))
      (memory (export "memory") 1)
      (global $top (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $top) (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
      (func (export "echo") (param i32 i32) (result i32)
        (call $block (call $subscribe (i64.const 1000)))
        (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1)) (i32.const 0)))
    (core instance $h (export "subscribe" (func $subscribe)) (export "block" (func $block)))
    (core instance $i (instantiate $m (with "h" (instance $h))))
    (func (export "echo") (param "text" string) (result string)
      (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (component $caller
    (import "echo" (func $echo (param "text" string) (result string)))
    (core module $libc
      (memory (export "memory") 1)
      (global $top (mut i32) (i32.const 2048))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $top) (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
    (core instance $libc (instantiate $libc))
    (core func $echo (canon lower (func $echo) (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core module $m
      (import "h" "echo" (func $echo (param i32 i32 i32)))
      (func (export "call") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 16)) (i32.const 16)))
    (core instance $h (export "echo" (func $echo)))
    (core instance $i (instantiate $m (with "h" (instance $h))))
    (func (export "call") (param "text" string) (result string)
      (canon lift (core func $i "call") (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))
  (instance $e (instantiate $echo (with "poll" (instance $poll)) (with "clock" (instance $clock))))
  (instance $c (instantiate $caller (with "echo" (func $e "echo"))))
  (export "call" (func $c "call")))`;
