import { describe, expect, it } from "vitest";
import { moduleLimits } from "../../../src/limits.ts";
import { admit } from "../../../src/wasm/admission/admit.ts";
import { backtraceOf } from "../../../src/wasm/admission/backtrace.ts";
import { guestEnd } from "../../../src/wasm/guests/guest-faults.ts";
import { countersOf, functionsOf, thrownBy } from "../../support/metered.ts";
import { binary, id, name, oneFunction, section, voidType } from "../../support/wasm-bytes.ts";
import { wat } from "../../support/wat.ts";

const start = (bytes: Uint8Array) =>
  new WebAssembly.Instance(new WebAssembly.Module(admit(bytes, { memoryBytesMax: 65_536 }).bytes));

const crashing = (moduleName: string) =>
  wat(`(module ${moduleName}
  (memory (export "memory") 1)
  (func $divide (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
  (func $work (param i32) (result i32) (i32.add (call $divide (local.get 0)) (i32.const 1)))
  (func $entry (export "entry") (param i32) (result i32) (i32.add (call $work (local.get 0)) (i32.const 1)))
  (func $spin (export "spin") (loop $again (br $again)))
  (func $deep (export "deep") (result i32) (i32.add (call $deep) (i32.const 1)))
  (func $allocate (export "allocate") (i32.store (memory.grow (i32.const 10)) (i32.const 1)))
  (func $give_up (export "give_up") unreachable))`);

function endOf(entry: string, ...values: unknown[]) {
  const instance = start(crashing(""));
  const error = thrownBy(() => functionsOf(instance)[entry]?.(...values));
  return guestEnd(error, countersOf(instance));
}

describe("a backtrace", () => {
  it.each([
    ["an unnamed", ""],
    ["a named", "$my-module.v1"],
  ])("of %s module names its functions", (_, moduleName) => {
    const instance = start(crashing(moduleName));
    const frames = backtraceOf(thrownBy(() => functionsOf(instance)["entry"]?.(0)));
    expect(frames.map(({ functionName, functionIndex }) => [functionName, functionIndex])).toEqual([
      ["divide", 0],
      ["work", 1],
      ["entry", 2],
    ]);
    for (const { offset } of frames) expect(offset).toBeGreaterThan(0);
  });

  it("points to the instruction in the admitted module", () => {
    const { bytes } = admit(crashing(""), { memoryBytesMax: 65_536 });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes));
    const [innermost] = backtraceOf(thrownBy(() => functionsOf(instance)["entry"]?.(0)));
    const divideUnsigned = 0x6e;
    expect(bytes[innermost?.offset ?? -1]).toBe(divideUnsigned);
  });

  it.each([
    ["a module without names", ""],
    ["a module with a name and functions without", "$named"],
  ])("of %s counts its functions", (_, moduleName) => {
    const text = `(module ${moduleName} (func (export "f") (call 1) nop) (func unreachable))`;
    const frames = backtraceOf(thrownBy(() => functionsOf(start(wat(text)))["f"]?.()));
    expect(frames.map((frame) => frame.functionName)).toEqual(["function 1", "function 0"]);
  });

  it("of a hostile name shows one short line per frame", () => {
    const hostile = `evil (wasm://wasm/00:wasm-function[7]:0x9)\n\u{1b}[2J${"x".repeat(500)}`;
    const bytes = binary(
      voidType,
      ...oneFunction([0x00]),
      section(id.custom, [...name("name"), ...section(1, [1, 0, ...name(hostile)])]),
    );
    for (const { functionName } of backtraceOf(thrownBy(() => functionsOf(start(bytes))["f"]?.()))) {
      expect(functionName).toMatch(/^\P{C}{1,65}$/u);
    }
  });

  it("is cut after so many frames", () => {
    const line = "    at f (wasm://wasm/12345678:wasm-function[3]:0x45)";
    const error = Object.assign(new Error("boom"), {
      stack: ["Error: boom", ...Array(100).fill(line)].join("\n"),
    });
    expect(backtraceOf(error)).toEqual(
      Array(moduleLimits.backtraceFramesMax).fill({ functionName: "f", functionIndex: 3, offset: 0x45 }),
    );
  });

  it("leaves out what is not of the guest", () => {
    const stack = [
      "RuntimeError: unreachable",
      "    at wasm://wasm/12345678:wasm-function[0]:0x1f",
      "    at host (file:///app/host.ts:12:3)",
      "    at core::ops::function::FnOnce<(), Output = ()>::call (wasm://wasm/a (b)-12345678:wasm-function[12]:0xff)",
      "    at async Promise.all (index 0)",
    ].join("\n");
    expect(backtraceOf(Object.assign(new Error("unreachable"), { stack }))).toEqual([
      { functionName: "function 0", functionIndex: 0, offset: 0x1f },
      { functionName: "core::ops::function::FnOnce<(), Output = ()>::call", functionIndex: 12, offset: 0xff },
    ]);
    expect(backtraceOf("not an error")).toEqual([]);
  });
});

describe("the end of a metered guest", () => {
  it.each([
    ["divided by zero", { type: "trap", message: "divide by zero" }, "entry", 0],
    ["used up its fuel", { type: "fuel", message: "the guest used up the fuel of this call" }, "spin"],
    ["gave up with fuel left", { type: "trap", message: "unreachable" }, "give_up"],
    ["was refused memory", { type: "memory" }, "allocate"],
    ["called itself too deeply", { type: "trap", message: "stack overflow" }, "deep"],
  ])("tells one that %s", (_, expected, entry, ...values) => {
    expect(endOf(entry, ...values)).toMatchObject(expected);
  });
});
