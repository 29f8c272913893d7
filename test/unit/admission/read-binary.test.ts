import { expect, it } from "vitest";
import { readBinary } from "../../../src/wasm/admission/read-binary.ts";
import { wat } from "../../support/wat.ts";

it("a module's summary says all that its sections say", () => {
  const bytes = wat(`(module
    (import "wapc" "__guest_request" (func $request (param i32 i32)))
    (import "env" "limit" (global i32))
    (type $binary (func (param i64 f32) (result f64)))
    (memory (export "memory") 2 9)
    (table (export "table") 3 5 funcref)
    (table 1 externref)
    (global (export "count") (mut i64) (i64.const -1))
    (func $main (export "main") (param i64 f32) (result f64) (f64.const 1.5))
    (func $init)
    (start $init)
    (elem (i32.const 0) $main $init)
    (data (i32.const 0) "abc")
    (data "passive"))`);
  const { sections, ...summary } = readBinary(bytes, 65_536 * 2);
  const init = { parameters: [], results: [] };
  const main = { parameters: ["i64", "f32"], results: ["f64"] };
  const request = { parameters: ["i32", "i32"], results: [] };
  expect(summary).toEqual({
    types: [main, request, init],
    imports: [
      { module: "wapc", name: "__guest_request", kind: "function", type: request },
      { module: "env", name: "limit", kind: "global" },
    ],
    exports: [
      { name: "memory", kind: "memory", index: 0 },
      { name: "table", kind: "table", index: 0 },
      { name: "count", kind: "global", index: 1 },
      { name: "main", kind: "function", index: 1, type: main },
    ],
    memory: { minPages: 2, maxPages: 9 },
    tables: [
      { elementType: "funcref", min: 3, max: 5 },
      { elementType: "externref", min: 1 },
    ],
    importedFunctions: 1,
    definedFunctions: 2,
    importedGlobals: 1,
    definedGlobals: 1,
    dataSegments: 2,
    elementSegments: 1,
    startFunction: 2,
    hasNames: true,
    customSections: ["name"],
  });
  expect(sections.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0]);
  expect(sections.at(-1)?.end).toBe(bytes.length);
});
