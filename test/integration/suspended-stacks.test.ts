import { expect, test } from "vitest";
import { startEngine } from "../support/running-engine.ts";

/**
 * Recurses as deep as the first byte of its payload says in hundreds, waits for its host at the bottom, and counts its
 * way back up. Operations: `t…` traps down there, `o…` never stops recursing, everything else answers the depth.
 */
const divingGuest = `(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $wait (drop (call $call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)
    (i32.const 0) (i32.const 0))))
  (func $dive (param $left i32) (param $how i32) (result i32) (local $kept i64)
    (local.set $kept (i64.extend_i32_u (local.get $left)))
    (if (i32.eqz (local.get $left)) (then
      (call $wait)
      (if (i32.eq (local.get $how) (i32.const 116)) (then (unreachable)))
      (if (i32.ne (local.get $how) (i32.const 111)) (then (return (i32.const 0))))
      (local.set $left (i32.const -1))))
    (i32.add (i32.sub (i32.add (i32.wrap_i64 (local.get $kept)) (i32.const 1)) (i32.wrap_i64 (local.get $kept)))
      (call $dive (i32.sub (local.get $left) (i32.const 1)) (local.get $how))))
  (func (export "__guest_call") (param $op i32) (param $len i32) (result i32) (local $depth i32)
    (call $request (i32.const 16) (i32.const 32))
    (local.set $depth (i32.mul (i32.load8_u (i32.const 32)) (i32.const 100)))
    (i32.store8 (i32.const 64) (i32.eq (call $dive (local.get $depth) (i32.load8_u (i32.const 16))) (local.get $depth)))
    (i32.store8 (i32.const 64) (i32.add (i32.load8_u (i32.const 64)) (i32.const 48)))
    (call $response (i32.const 64) (i32.const 1))
    (i32.const 1)))`;

test("P19: guests that wait deep in their recursion, trap there or overflow never mix up their stacks", async () => {
  await using running = await startEngine();
  const guests = Array.from({ length: 48 }, (_, index) => running.spec(`g${index}`, divingGuest));
  for (const spec of guests) await running.engine.start(spec);
  for (let round = 0; round < 6; round += 1) {
    const answers = await Promise.all(
      guests.map(async ({ instanceId }, index) => {
        const how = index % 8 === round ? (index % 3 === 0 ? "trap" : "over") : "dive";
        const depth = String.fromCodePoint(1 + ((index * 7 + round * 31) % 100));
        const answer = await running.call(instanceId, how, depth);
        if (how !== "dive")
          await running.engine.start(guests[index] ?? running.spec(instanceId, divingGuest));
        return `${how} ${answer}`;
      }),
    );
    expect(
      new Set(answers).difference(new Set(["dive 1", "trap GUEST_TRAPPED", "over GUEST_TRAPPED"])),
    ).toEqual(new Set());
  }
  expect(running.ends).toEqual([]);
});
