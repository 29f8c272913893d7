import { expect, test } from "vitest";
import { guestTalkLimits } from "../../../src/limits.ts";
import { hostModules } from "../../../src/wasm/admission/host-functions.ts";
import type { CoreGuestKind } from "../../../src/wasm/guests/guest.ts";
import { linkErrors, loadGuest } from "../../../src/wasm/guests/load-guest.ts";
import { bytesOf, guestHost, textOf } from "../../support/guest-host.ts";
import { callingGuest, echoGuest } from "../../support/wapc-guests.ts";
import { copyStdinTo, wasiGuest } from "../../support/wasi-guests.ts";
import { watModule } from "../../support/wat.ts";

const streams = ["fd_read", "fd_write"];
const guests: [kind: CoreGuestKind, module: WebAssembly.Module][] = [
  ["wapc", echoGuest()],
  ["wasi-command", wasiGuest(streams, `(func (export "_start") ${copyStdinTo(1)})`)],
  ["wasi-reactor", wasiGuest(streams, `(func (export "echo") ${copyStdinTo(1)})`)],
];

test.each(guests)("a %s guest links and answers", async (kind, module) => {
  expect(linkErrors(module, kind)).toEqual([]);
  expect(textOf(await loadGuest(kind, module, guestHost()).call("echo", bytesOf("payload")))).toBe("payload");
});

test("everything that admission lets a waPC guest import is supplied", () => {
  const imports = [...hostModules].flatMap(([from, functions]) =>
    [...functions].map(
      ([name, { parameters, results }]) =>
        `(import "${from}" "${name}" (func (param ${parameters.join(" ")}) (result ${results.join(" ")})))`,
    ),
  );
  const module = watModule(`(module ${imports.join("\n")} (memory (export "memory") 1)
    (func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1)))`);
  expect(linkErrors(module, "wapc")).toEqual([]);
  expect(() => loadGuest("wapc", module, guestHost())).not.toThrow();
});

test("what a module lacks is named, import by import", () => {
  const module = watModule(`(module (import "env" "memory" (memory 1)) (import "wapc" "__guest_fly" (func))
    (import "wapc" "__host_response_len" (global i32)) (import "__proto__" "toString" (func)))`);
  expect(linkErrors(module, "wapc")).toEqual([
    "the function __guest_call is not exported",
    'the memory is not exported under the name "memory"',
    'the import "env.memory", a memory, is not supplied to this kind of guest',
    'the import "wapc.__guest_fly", a function, is not supplied to this kind of guest',
    'the import "wapc.__host_response_len", a global, is not supplied to this kind of guest',
    'the import "__proto__.toString", a function, is not supplied to this kind of guest',
  ]);
});

// R2.1
test("a WASI guest is not supplied with host calls", () => {
  expect(linkErrors(callingGuest(), "wasi-reactor")).toContain(
    'the import "wapc.__host_call", a function, is not supplied to this kind of guest',
  );
});

test("a long list of what is lacking is cut", () => {
  const imports = Array.from({ length: 100 }, (_, index) => `(import "x" "f${index}" (func))`).join("");
  const errors = linkErrors(watModule(`(module ${imports} (memory (export "memory") 1))`), "wasi-reactor");
  expect(errors).toHaveLength(guestTalkLimits.linkErrorsMax + 1);
  expect(errors.at(-1)).toBe("and 84 more");
});
