import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Failure } from "../../src/protocol/errors.ts";
import { admit, type AdmittedModule } from "../../src/wasm/admission/admit.ts";
import { countersOf, functionsOf } from "../support/metered.ts";
import { program } from "../support/random-program.ts";
import { wat } from "../support/wat.ts";

const memoryBytesMax = 4 * 65_536;

/** A guest with something of everything, so that mutations have something to hit. */
const everything = wat(`(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__host_call"
    (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (type $unary (func (param i32) (result i32)))
  (memory (export "memory") 1 2)
  (table $t 4 9 funcref)
  (global $g (mut i32) (i32.const 3))
  (tag $e (param i32))
  (func $half (type $unary) (i32.shr_u (local.get 0) (i32.const 1)))
  (func $vector (result i32)
    (i32x4.extract_lane 2 (i32x4.add (v128.const i32x4 1 2 3 4) (v128.load (i32.const 32)))))
  (func $bulk (memory.copy (i32.const 0) (i32.const 64) (i32.const 9))
    (table.set $t (i32.const 3) (ref.func $half)) (memory.init $d (i32.const 1) (i32.const 0) (i32.const 2)))
  (func (export "__guest_call") (param $op i32) (param $len i32) (result i32) (local $i i32) (local f64 i64)
    (call $bulk)
    (loop $next
      (local.set $i (i32.add (local.get $i) (call $vector)))
      (block $c (block $b (block $a (br_table $a $b $c (local.get $i))) (nop)) (global.set $g (local.get $i)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 20))))
    (block $caught (result i32) (try (result i32) (do (throw $e (i32.const 2))) (catch $e)))
    (drop)
    (drop (memory.grow (i32.const 1)))
    (call_indirect (type $unary) (global.get $g) (i32.const 1)))
  (elem (i32.const 0) $half $half)
  (data (i32.const 0) "\\00\\01\\02")
  (data $d "passive"))`);

const mutation = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant("flip" as const), at: fc.nat(), value: fc.integer({ min: 0, max: 7 }) }),
  fc.record({ kind: fc.constant("insert" as const), at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant("remove" as const), at: fc.nat(), value: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant("repeat" as const), at: fc.nat(), value: fc.integer({ min: 1, max: 40 }) }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutated(bytes: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  const result = [...bytes];
  for (const { kind, at, value } of mutations) {
    // The header is spared: what becomes of it is known.
    const place = 8 + (at % Math.max(1, result.length - 8));
    if (kind === "set") result[place] = value;
    else if (kind === "flip") result[place] = (result[place] ?? 0) ^ (1 << value);
    else if (kind === "insert") result.splice(place, 0, value);
    else if (kind === "remove") result.splice(place, value);
    else result.splice(place, 0, ...result.slice(place, place + value));
  }
  return Uint8Array.from(result);
}

/** The admitted module, or nothing if it was refused as it must be. Everything else that is thrown escapes. */
function admittedOrRefused(bytes: Uint8Array): AdmittedModule | undefined {
  try {
    return admit(bytes, { memoryBytesMax });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    expect(error).toMatchObject({ code: "INVALID_MODULE", fix: expect.any(String) });
    expect(error.message.length).toBeLessThan(400);
    return undefined;
  }
}

/** Runs every export with little fuel; whatever the guest does, this comes to an end. */
function runAll({ bytes, summary }: AdmittedModule): void {
  const imports: Record<string, Record<string, () => number>> = {};
  for (const { module, name } of summary.imports) (imports[module] ??= {})[name] = () => 0;
  const instance = instanceOf(bytes, imports);
  if (instance === undefined) return;
  const { fuel } = countersOf(instance);
  for (const { name, kind, type, index } of summary.exports) {
    // An exported import is a function of the host, which takes no fuel.
    if (kind !== "function" || index < summary.importedFunctions) continue;
    fuel.value = 5_000;
    try {
      functionsOf(instance)[name]?.(...(type?.parameters ?? []).map((of) => (of === "i64" ? 1n : 1)));
    } catch {
      // A trap is as good an end as any.
    }
    expect(Number(fuel.value)).toBeLessThanOrEqual(4_999);
    expect(Number(fuel.value)).toBeGreaterThanOrEqual(-1);
  }
  const memory = instance.exports["memory"];
  if (memory instanceof WebAssembly.Memory) {
    expect(memory.buffer.byteLength).toBeLessThanOrEqual(memoryBytesMax);
  }
}

/** Nothing if a segment does not fit or the start function traps. */
function instanceOf(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports) {
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) return undefined;
    throw error;
  }
}

describe("bytes of any kind are refused with INVALID_MODULE, or become a module that is valid and ends", () => {
  it("a guest with a few bytes changed", () => {
    let admitted = 0;
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        const module = admittedOrRefused(mutated(everything, mutations));
        if (module === undefined) return;
        admitted += 1;
        expect(WebAssembly.validate(module.bytes)).toBe(true);
        runAll(module);
      }),
      { numRuns: 3_000 },
    );
    // Else the property would say nothing about what is admitted.
    expect(admitted).toBeGreaterThan(100);
  });

  it("a guest cut short anywhere", () => {
    for (let length = 0; length < everything.length; length += 1) {
      const module = admittedOrRefused(everything.subarray(0, length));
      if (module !== undefined) expect(WebAssembly.validate(module.bytes)).toBe(true);
    }
  });

  it("a random program with a few bytes changed", () => {
    fc.assert(
      fc.property(program, fc.array(mutation, { minLength: 1, maxLength: 4 }), (text, mutations) => {
        const module = admittedOrRefused(mutated(wat(text), mutations));
        if (module === undefined) return;
        expect(WebAssembly.validate(module.bytes)).toBe(true);
        runAll(module);
      }),
      { numRuns: 300 },
    );
  });

  it("noise behind a right header", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const module = admittedOrRefused(Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...noise]));
        if (module !== undefined) expect(WebAssembly.validate(module.bytes)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it("what V8 takes and is refused is refused on purpose, never for being misread", () => {
    const misread =
      /truncated|unknown instruction|accounts? for|does not fit|not a value type|unknown section/;
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 2 }), (mutations) => {
        const bytes = mutated(everything, mutations);
        if (!WebAssembly.validate(Uint8Array.from(bytes))) return;
        try {
          admit(bytes, { memoryBytesMax });
        } catch (error) {
          expect(String(error)).not.toMatch(misread);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
