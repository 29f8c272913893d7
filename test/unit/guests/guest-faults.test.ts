import { expect, test } from "vitest";
import { GuestExit } from "../../../src/wasm/guests/guest.ts";
import { guestEnd, GuestFault, metersOf } from "../../../src/wasm/guests/guest-faults.ts";
import { createWapcGuest } from "../../../src/wasm/guests/wapc.ts";
import { bytesOf, guestHost, thrownBy } from "../../support/guest-host.ts";
import { wapcGuest } from "../../support/wapc-guests.ts";
import { watModule } from "../../support/wat.ts";

const unmetered = { fuel: undefined, grown: undefined };

/** What is said of a guest whose call does this. */
async function endOf(body: string, fields = "") {
  const guest = createWapcGuest(wapcGuest(body, fields), guestHost());
  return guest.endOf(await thrownBy(() => guest.call("x", bytesOf(""))));
}

test("a trap is told with V8's words and the guest's own names, innermost first", async () => {
  const end = await endOf(
    "(call $middle) (i32.const 1)",
    `(func $deepest unreachable) (func $middle (call $deepest))`,
  );
  expect(end).toMatchObject({ type: "trap", message: "unreachable" });
  expect(end.backtrace.map((frame) => frame.replace(/ \(\+0x[0-9a-f]+\)$/u, ""))).toEqual([
    "deepest",
    "middle",
    "function 6",
  ]);
});

test.each([
  ["(i32.load (i32.const -1))", "memory access out of bounds"],
  ["(i32.div_s (local.get $len) (i32.const 0))", "divide by zero"],
])("the trap of %s is named", async (body, message) => {
  expect(await endOf(body)).toMatchObject({ type: "trap", message });
});

test("endless recursion is a stack overflow", async () => {
  const end = await endOf(
    "(call $deeper (i32.const 1))",
    "(func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (local.get 0))))",
  );
  expect(end).toMatchObject({ type: "trap", message: "stack overflow" });
});

test("an exception of the guest that nothing catches is a trap of its own", async () => {
  expect(await endOf("(throw $oops)", "(tag $oops)")).toMatchObject({
    type: "trap",
    message: "the guest threw an exception that nothing caught",
  });
});

test("a trap with fuel below zero is for lack of fuel", async () => {
  const end = await endOf(
    "(global.set $fuel (i32.const -1)) unreachable",
    `(global $fuel (export "__wasmatrix_fuel") (mut i32) (i32.const 1000))`,
  );
  expect(end).toMatchObject({ type: "fuel", message: "the guest used up the fuel of this call" });
});

test("a trap after memory was refused is for lack of memory, one in a later call is not", async () => {
  const guest = createWapcGuest(
    wapcGuest(
      `(if (local.get $len) (then (global.set $grown (i32.const -1)))) unreachable`,
      `(global $grown (export "__wasmatrix_grown") (mut i32) (i32.const 0))`,
    ),
    guestHost(),
  );
  expect(guest.endOf(await thrownBy(() => guest.call("x", bytesOf("1"))))).toMatchObject({ type: "memory" });
  const survivor = createWapcGuest(
    wapcGuest(
      `(if (local.get $len) (then (global.set $grown (i32.const -1)) (return (i32.const 1)))) unreachable`,
      `(global $grown (export "__wasmatrix_grown") (mut i32) (i32.const 0))`,
    ),
    guestHost(),
  );
  await survivor.call("x", bytesOf("1"));
  expect(survivor.endOf(await thrownBy(() => survivor.call("x", bytesOf(""))))).toMatchObject({
    type: "trap",
  });
});

test("an exit is told with its code, and a fault with its message, whatever the meters say", () => {
  const meters = { fuel: { value: -1 }, grown: { value: -1 } };
  expect(guestEnd(new GuestExit(7), meters)).toEqual({
    type: "exit",
    message: "the guest exited with code 7",
    exitCode: 7,
    backtrace: [],
  });
  expect(guestEnd(new Error("the node stops"), meters)).toMatchObject({
    type: "fault",
    message: "the node stops",
  });
  expect(guestEnd(new GuestFault("a bad pointer"), unmetered)).toMatchObject({
    type: "fault",
    message: "a bad pointer",
  });
  expect(guestEnd("no error at all", unmetered)).toMatchObject({ type: "fault", message: "no error at all" });
});

test("only exported number globals of those names are meters", () => {
  const exportsOf = (fields: string) => new WebAssembly.Instance(watModule(`(module ${fields})`)).exports;
  const both = `(global (export "__wasmatrix_fuel") (mut i32) (i32.const 5)) (global (export "__wasmatrix_grown") (mut i32) (i32.const 0))`;
  expect(metersOf(exportsOf(both))).toMatchObject({ fuel: { value: 5 }, grown: { value: 0 } });
  expect(metersOf(exportsOf(""))).toEqual(unmetered);
  expect(metersOf(exportsOf(`(func (export "__wasmatrix_fuel"))`))).toEqual(unmetered);
  expect(metersOf(exportsOf(`(global (export "__wasmatrix_fuel") i64 (i64.const 5))`))).toEqual(unmetered);
});
