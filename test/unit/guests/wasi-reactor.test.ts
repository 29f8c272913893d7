import { expect, test } from "vitest";
import { GuestExit } from "../../../src/wasm/guests/guest.ts";
import { GuestStillborn } from "../../../src/wasm/guests/guest-faults.ts";
import { createWasiReactor } from "../../../src/wasm/guests/wasi-reactor.ts";
import { bytesOf, guestHost, textOf, thrownBy } from "../../support/guest-host.ts";
import { copyStdinTo, wasiGuest, write } from "../../support/wasi-guests.ts";

const streams = ["fd_read", "fd_write"];

const module = wasiGuest(
  streams,
  `(global $inits (mut i32) (i32.const 48))
   (global $calls (mut i32) (i32.const 48))
   (data (i32.const 512) "ready\\n")
   (func (export "_initialize")
     (global.set $inits (i32.add (global.get $inits) (i32.const 1))) ${write(1, 512, 6)})
   (func (export "echo") ${copyStdinTo(1)})
   (func (export "count") (result i32)
     (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
     (i32.store8 (i32.const 600) (global.get $inits)) (i32.store8 (i32.const 601) (global.get $calls))
     ${write(1, 600, 2)} (i32.const 0))
   (func (export "refuse") (result i32) ${copyStdinTo(1)} (i32.const -7))
   (func (export "trap") unreachable)
   (func (export "exit") (call $proc_exit (i32.const 9)))
   (func (export "add") (param i32 i32) (result i32) (i32.const 0))
   (func (export "__wasm_call_ctors"))`,
);

test("a reactor is one instance: initialised once, its memory lasts from call to call", () => {
  const host = guestHost();
  const guest = createWasiReactor(module, host);
  const answers = [0, 1, 2].map(() => textOf(guest.call("count", bytesOf("")) as Uint8Array));
  expect(answers).toEqual(["11", "12", "13"]);
  expect(host.lines).toEqual(["stdout: ready"]);
});

test("each operation of a reactor has its own payload and answer", () => {
  const guest = createWasiReactor(module, guestHost());
  expect(textOf(guest.call("echo", bytesOf("one")) as Uint8Array)).toBe("one");
  expect(textOf(guest.call("count", bytesOf("unread")) as Uint8Array)).toBe("11");
  expect(textOf(guest.call("echo", bytesOf("two")) as Uint8Array)).toBe("two");
});

test("a result other than zero is the guest's refusal and leaves it usable", async () => {
  const guest = createWasiReactor(module, guestHost());
  expect(await thrownBy(() => guest.call("refuse", bytesOf("bad input")))).toMatchObject({
    code: "GUEST_ERROR",
    message: `the guest's "refuse" returned -7`,
    details: { output: "bad input" },
  });
  expect(textOf(guest.call("echo", bytesOf("fine")) as Uint8Array)).toBe("fine");
});

test.each([
  "nope",
  "",
  "add",
  "_initialize",
  "__wasm_call_ctors",
  "memory",
  "__proto__",
  "toString",
  "x".repeat(70_000),
])(
  "an operation that there is not is refused with a list of those that there are (%#)",
  async (operation) => {
    const guest = createWasiReactor(module, guestHost());
    const failure = await thrownBy(() => guest.call(operation, bytesOf("")));
    expect(failure).toMatchObject({
      code: "INVALID_REQUEST",
      fix: 'Call one of its operations: "echo", "count", "refuse", "trap", "exit".',
    });
    expect((failure as Error).message.length).toBeLessThan(128);
    expect(textOf(guest.call("echo", bytesOf("fine")) as Uint8Array)).toBe("fine");
  },
);

test("a trap ends a reactor, and later calls are told the same", async () => {
  const guest = createWasiReactor(module, guestHost());
  const thrown = await thrownBy(() => guest.call("trap", bytesOf("")));
  expect(guest.endOf(thrown)).toMatchObject({ type: "trap", message: "unreachable" });
  expect(await thrownBy(() => guest.call("echo", bytesOf("")))).toBe(thrown);
});

test("a reactor that exits has ended", async () => {
  const guest = createWasiReactor(module, guestHost());
  expect(await thrownBy(() => guest.call("exit", bytesOf("")))).toEqual(new GuestExit(9));
});

test("a reactor that ends in _initialize is never there", async () => {
  const broken = wasiGuest([], `(func (export "_initialize") unreachable) (func (export "echo"))`);
  const thrown = await thrownBy(() => createWasiReactor(broken, guestHost()));
  expect(thrown).toBeInstanceOf(GuestStillborn);
  expect((thrown as GuestStillborn).end).toMatchObject({ type: "trap", message: "unreachable" });
});
