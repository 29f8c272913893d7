import { describe, expect, it } from "vitest";
import { moduleLimits } from "../../../src/limits.ts";
import { admit } from "../../../src/wasm/admission/admit.ts";
import { meter } from "../../../src/wasm/admission/meter.ts";
import { readBinary } from "../../../src/wasm/admission/read-binary.ts";
import { failureFrom } from "../../support/failure-of.ts";
import { countersOf, functionsOf, thrownBy } from "../../support/metered.ts";
import {
  binary,
  functionModule,
  id,
  name,
  oneFunction,
  section,
  voidType,
} from "../../support/wasm-bytes.ts";
import { wat } from "../../support/wat.ts";

const memoryBytesMax = 4 * 65_536;

function instantiate(text: string, imports: WebAssembly.Imports = {}): WebAssembly.Instance {
  const bytes = wat(text);
  const metered = meter(bytes, readBinary(bytes, memoryBytesMax), { memoryBytesMax, fuel: true });
  return new WebAssembly.Instance(new WebAssembly.Module(metered), imports);
}

describe("fuel", () => {
  const work = `(module
    (func $leaf)
    (func (export "call") (call $leaf) (call $leaf))
    (func (export "turns") (param $n i32)
      (loop $again
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br_if $again (local.get $n))))
    (func (export "spin") (loop $again (br $again)))
    (func $recurse (export "recurse") (call $recurse)))`;

  it("is taken once per function entry and once per turn of a loop", () => {
    const instance = instantiate(work);
    const { fuel } = countersOf(instance);
    const taken = (run: () => unknown) => {
      fuel.value = 1_000;
      run();
      return 1_000 - Number(fuel.value);
    };
    const { call, turns } = functionsOf(instance);
    expect(taken(() => call?.())).toBe(3);
    expect(taken(() => turns?.(1))).toBe(2);
    expect(taken(() => turns?.(100))).toBe(101);
  });

  it("lets a call use it up to the last unit", () => {
    const instance = instantiate(work);
    const { fuel } = countersOf(instance);
    fuel.value = 3;
    functionsOf(instance)["call"]?.();
    expect(fuel.value).toBe(0);
  });

  it.each(["spin", "recurse"])(
    "below zero ends a guest that would %s for ever, and it can go on later",
    (way) => {
      const instance = instantiate(work);
      const { fuel } = countersOf(instance);
      const functions = functionsOf(instance);
      fuel.value = 1_000;
      const error = thrownBy(() => functions[way]?.());
      expect(error).toBeInstanceOf(WebAssembly.RuntimeError);
      expect((error as Error).message).toBe("unreachable");
      expect(fuel.value).toBe(-1);
      fuel.value = 1_000;
      functions["call"]?.();
      expect(fuel.value).toBe(997);
    },
  );

  it("ends a guest that calls itself in tail position for ever", () => {
    const bytes = functionModule([0x12, 0]);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(admit(bytes, { memoryBytesMax }).bytes));
    countersOf(instance).fuel.value = 1_000_000;
    expect(thrownBy(() => functionsOf(instance)["f"]?.())).toMatchObject({ message: "unreachable" });
    expect(countersOf(instance).fuel.value).toBe(-1);
  });

  it("ends a guest that loops over an exception that it catches itself", () => {
    const instance = instantiate(`(module (tag $t)
      (func (export "f") (loop $again (try (do (throw $t)) (catch_all (br $again))))))`);
    countersOf(instance).fuel.value = 10_000;
    expect(thrownBy(() => functionsOf(instance)["f"]?.())).toMatchObject({ message: "unreachable" });
    expect(countersOf(instance).fuel.value).toBe(-1);
  });

  it("is there before the host can set any, so that a start function cannot loop for ever", () => {
    expect(
      thrownBy(() => instantiate("(module (func $s (loop $again (br $again))) (start $s))")),
    ).toMatchObject({ message: "unreachable" });
    const gentle = instantiate("(module (func $s) (start $s))");
    expect(countersOf(gentle).fuel.value).toBe(moduleLimits.startFuel - 1);
  });

  it("is not counted when it is not wanted, and the caps stay", () => {
    const bytes = wat(`(module (memory (export "memory") 1)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`);
    const { bytes: admitted } = admit(bytes, { memoryBytesMax, metered: false });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(admitted));
    expect(Object.keys(exports)).toEqual(["memory", "grow", "__wasmatrix_grown"]);
    expect((exports["grow"] as (pages: number) => number)(4)).toBe(-1);
    expect((exports["__wasmatrix_grown"] as WebAssembly.Global).value).toBe(-1);
  });
});

describe("memory", () => {
  const growing = (declared: string) => `(module (memory (export "memory") ${declared})
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "touch") (param i32) (i32.store (local.get 0) (i32.const 1))))`;

  it.each([
    ["none", "1", 4],
    ["a larger one", "1 100", 4],
    ["a smaller one", "1 3", 3],
    ["the same", "1 4", 4],
  ])(
    "of a module that declares %s as its maximum grows exactly to the lower one",
    (_, declared, pagesMax) => {
      const instance = instantiate(growing(declared));
      const { grown } = countersOf(instance);
      const { grow, touch } = functionsOf(instance);
      expect(grown.value).toBe(0);
      for (let pages = 1; pages < pagesMax; pages += 1) {
        expect(grow?.(1)).toBe(pages);
        expect(grown.value).toBe(pages);
      }
      expect(grow?.(0)).toBe(pagesMax);
      expect(grow?.(1)).toBe(-1);
      expect(grown.value).toBe(-1);
      touch?.(pagesMax * 65_536 - 4);
      expect(thrownBy(() => touch?.(pagesMax * 65_536 - 3))).toMatchObject({
        message: "memory access out of bounds",
      });
    },
  );

  it("may begin with exactly the limit, and not with a page more", () => {
    expect(countersOf(instantiate(growing("4"))).grown.value).toBe(0);
    expect(failureFrom(() => instantiate(growing("5")))).toMatchObject({
      code: "INVALID_MODULE",
      message: "the memory begins with 327680 bytes, the instance may use 262144",
      details: { memoryBytesMin: 327_680, memoryBytesMax: 262_144 },
    });
  });

  it("limits that are no whole number of pages are rounded down", () => {
    const bytes = wat(growing("1"));
    const metered = meter(bytes, readBinary(bytes, 65_536 * 2 - 1), {
      memoryBytesMax: 65_536 * 2 - 1,
      fuel: true,
    });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(metered));
    expect(functionsOf(instance)["grow"]?.(1)).toBe(-1);
  });
});

describe("tables", () => {
  it.each([
    ["none", "1", moduleLimits.tableElementsMax],
    ["a larger one", "1 10000000", moduleLimits.tableElementsMax],
    ["a smaller one", "1 7", 7],
  ])("of a module that declares %s as their maximum grow exactly to the lower one", (_, declared, max) => {
    const instance = instantiate(`(module (table $t ${declared} funcref)
      (func (export "grow") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))`);
    const grow = functionsOf(instance)["grow"];
    expect(grow?.(5_000_000)).toBe(-1);
    expect(grow?.(max - 1)).toBe(1);
    expect(grow?.(1)).toBe(-1);
  });
});

describe("indices", () => {
  it("of functions, globals and exports stay what they were, imported ones included", () => {
    const text = `(module
      (import "host" "log" (func $log (param i32)))
      (import "host" "base" (global $base (mut i32)))
      (import "host" "fixed" (global $fixed i32))
      (global $own (mut i32) (i32.const 5))
      (global $derived i32 (global.get $fixed))
      (export "own" (global $own))
      (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (table 2 2 funcref)
      (elem (i32.const 0) $add $sum)
      (func $sum (export "sum") (result i32)
        (global.set $own (i32.add (global.get $own) (i32.const 1)))
        (global.set $base (i32.const 70))
        (call $log (global.get $derived))
        (call_indirect (param i32 i32) (result i32)
          (global.get $own) (global.get $base) (i32.const 0))))`;
    const logged: number[] = [];
    const base = new WebAssembly.Global({ value: "i32", mutable: true }, 1);
    const instance = instantiate(text, {
      host: { log: (value: number) => logged.push(value), base, fixed: 42 },
    });
    expect(functionsOf(instance)["sum"]?.()).toBe(76);
    expect(logged).toEqual([42]);
    expect(base.value).toBe(70);
    expect((instance.exports["own"] as WebAssembly.Global).value).toBe(6);
    expect(countersOf(instance).fuel.value).toBe(moduleLimits.startFuel - 2);
  });

  it("of a module without globals, exports or code are right, too", () => {
    for (const bytes of [
      binary(),
      binary(voidType),
      binary(section(id.custom, name("x")), section(id.data, [0])),
    ]) {
      const metered = meter(bytes, readBinary(bytes, 0), { memoryBytesMax: 0, fuel: true });
      const instance = new WebAssembly.Instance(new WebAssembly.Module(metered));
      expect(countersOf(instance)).toMatchObject({
        fuel: { value: moduleLimits.startFuel },
        grown: { value: 0 },
      });
    }
  });
});

describe("custom sections", () => {
  const custom = (title: string, contents: readonly number[] = [1, 2, 3]) =>
    section(id.custom, [...name(title), ...contents]);
  // A name section is made of sections of its own kind: 1 holds the names of functions, here of one.
  const nameOfFunction = (text: string) => section(1, [1, 0, ...name(text)]);
  const kept = (...sections: (readonly number[])[]) => {
    const bytes = binary(custom("producers"), voidType, ...oneFunction([]), ...sections);
    const module = new WebAssembly.Module(admit(bytes, { memoryBytesMax }).bytes);
    const titles = [
      "producers",
      "name",
      "metadata.code.branch_hint",
      ".debug_info",
      "sourceMappingURL",
      "mine",
    ];
    return titles.filter((title) => WebAssembly.Module.customSections(module, title).length > 0);
  };

  it("stay, with the names, wherever they stand", () => {
    expect(kept(custom("name", nameOfFunction("main")), custom("mine"))).toEqual([
      "producers",
      "name",
      "mine",
    ]);
  });

  it("that point into the code go, since the code has moved", () => {
    const sections = ["metadata.code.branch_hint", ".debug_info", "sourceMappingURL"].map((title) =>
      custom(title),
    );
    expect(kept(...sections)).toEqual(["producers"]);
  });

  it("with names that are damaged or too long go, since every stack trace would repeat them", () => {
    const long = nameOfFunction("x".repeat(moduleLimits.nameBytesMax + 1));
    const summaryOf = (contents: readonly number[]) =>
      readBinary(binary(custom("name", contents)), memoryBytesMax).hasNames;
    expect(kept(custom("name", long))).toEqual(["producers"]);
    expect(kept(custom("name", [1, 99, 1]))).toEqual(["producers"]);
    expect([long, [1, 99, 1], nameOfFunction("main")].map(summaryOf)).toEqual([false, false, true]);
  });
});

describe("a function that metering would make too long for the engine", () => {
  it("is refused, not cut", () => {
    const loops = Array.from({ length: 410_000 }, () => [0x03, 0x40, 0x0b]).flat();
    expect(failureFrom(() => admit(functionModule(loops), { memoryBytesMax }))).toMatchObject({
      code: "INVALID_MODULE",
      message: expect.stringMatching(/^bytes of a metered function: \d+, where at most 7654321 are allowed$/),
    });
  });
});
