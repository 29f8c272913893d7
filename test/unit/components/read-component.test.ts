import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { componentAdmissionLimits } from "../../../src/limits.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { sortImports } from "../../../src/wasm/components/check-imports.ts";
import type { CorePart } from "../../../src/wasm/components/component-scope.ts";
import { memoryShares } from "../../../src/wasm/components/memory-shares.ts";
import { operationsOf } from "../../../src/wasm/components/operations.ts";
import { readComponent } from "../../../src/wasm/components/read-component.ts";
import { componentWat, wildComponent } from "../../support/component-guests.ts";
import { type Bytes, header as coreHeader, list, name, section } from "../../support/wasm-bytes.ts";

const memoryBytesMax = 16 * 65_536;
const header: Bytes = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

const id = { coreModule: 1, coreInstance: 2, component: 4, instance: 5, alias: 6, type: 7, canon: 8 };

/** A component of these sections, right or wrong. */
function component(...sections: readonly Bytes[]): Uint8Array {
  return Uint8Array.from([header, ...sections].flat());
}

/** A core module that exports its empty memory under that name. */
function exporting(exported: string): Bytes {
  return [...coreHeader, ...section(5, list([0, 0])), ...section(7, list([...name(exported), 2, 0]))];
}

/** What is said against the bytes; fails when nothing is. */
function refusal(bytes: Uint8Array): string {
  try {
    readComponent(bytes, memoryBytesMax);
  } catch (error) {
    if (error instanceof Failure && error.code === "INVALID_MODULE") return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}

function nested(depth: number): Bytes {
  return depth === 0 ? header : [...header, ...section(id.component, nested(depth - 1))];
}

describe("R14.1: what a component says of itself", () => {
  test("imports, exports and core modules are read with their types", async () => {
    const { imports, exports, coreInstances } = readComponent(
      await componentWat(wildComponent),
      memoryBytesMax,
    );
    expect([...imports.keys()]).toEqual(["wasi:io/poll@0.2.0", "wasi:clocks/monotonic-clock@0.2.0"]);
    expect(exports.get("add")).toEqual({
      sort: "function",
      type: {
        parameters: [
          { name: "one", type: { kind: "u32" } },
          { name: "other", type: { kind: "u32" } },
        ],
        result: { kind: "u32" },
      },
    });
    expect([...coreInstances.values()]).toEqual([1]);
  });

  test("functions of interfaces are operations by short and by long name, unless the short one is ambiguous", async () => {
    const bytes = await componentWat(
      `(component
      (core module $m (func (export "f")))
      (core instance $i (instantiate $m))
      (func $f (canon lift (core func $i "f")))
      (instance $one (export "go" (func $f)) (export "stop-it" (func $f)))
      (instance $other (export "go" (func $f)))
      (export "acme:a/one@1.0.0" (instance $one))
      (export "acme:a/other" (instance $other))
      (export "wasi:cli/run@0.2.3" (instance $run))
      (export "plain" (func $f)))`.replace(
        "(instance $other",
        '(instance $run (export "run" (func $f))) (instance $other',
      ),
    );
    const operations = operationsOf(readComponent(bytes, memoryBytesMax).exports);
    expect([...operations].map(([key, one]) => [key, one.kind, one.interface])).toEqual([
      ["plain", "function", undefined],
      ["one_go", "function", "acme:a/one@1.0.0"],
      ["one_stop-it", "function", "acme:a/one@1.0.0"],
      ["other_go", "function", "acme:a/other"],
      ["run", "command", "wasi:cli/run@0.2.3"],
      ["stop-it", "function", "acme:a/one@1.0.0"],
    ]);
  });
});

describe("R14.1: hostile components are refused before anything translates them", () => {
  const injections = [
    "'",
    '"',
    "`",
    "\\",
    "${x}",
    "a'];process.exit();//",
    "line\nend",
    "line\u{2028}end",
    "*/",
    "é",
    "__proto__",
  ];

  test.each(injections)("a core export named %j", (exported) => {
    expect(refusal(component(section(id.coreModule, exporting(exported))))).toMatch(
      /characters that no compiler/,
    );
  });

  test.each(injections)("a core import named %j", (imported) => {
    const module = [
      ...coreHeader,
      ...section(1, list([0x60, 0, 0])),
      ...section(2, list([...name("m"), ...name(imported), 0, 0])),
    ];
    expect(refusal(component(section(id.coreModule, module)))).toMatch(/characters that no compiler/);
  });

  test.each(injections)("an alias, a part of an instance or an import named %j", (hostile) => {
    const alias = section(id.alias, list([0, 0, 1, 0, ...name(hostile)]));
    const instance = section(id.coreInstance, list([1, ...list([...name(hostile), 0, 0])]));
    const imported = [
      ...section(id.type, list([0x42, 0])),
      ...section(10, list([0, ...name(hostile), 5, 0])),
    ];
    expect(refusal(component(alias))).toMatch(/characters that no compiler/);
    expect(refusal(component(instance))).toMatch(/characters that no compiler/);
    expect(refusal(component(imported))).toMatch(/not a name as WIT has them/);
  });

  test.each([
    "webidl:pkg/global-this",
    "url=<https://evil.example/x.wasm>",
    "unlocked-dep=<a:b>",
    "constructor",
    "a b",
    "[method]x",
    "",
  ])("an import named %j", (hostile) => {
    const bytes = component(
      section(id.type, list([0x42, 0])),
      section(10, list([0, ...name(hostile), 5, 0])),
    );
    expect(() => sortImports(readComponent(bytes, memoryBytesMax).imports)).toThrow(
      /not a name as WIT|no host gives a component/,
    );
  });

  const bombs: Record<string, [Uint8Array, RegExp]> = {
    "components nested too deep": [
      Uint8Array.from(nested(componentAdmissionLimits.depthMax + 1)),
      /components within components: 17, where at most 16/,
    ],
    "too many components": [
      component(
        ...Array.from({ length: componentAdmissionLimits.componentsMax + 1 }, () =>
          section(id.component, header),
        ),
      ),
      /components within the component: 257/,
    ],
    "too many core modules": [
      component(
        ...Array.from({ length: componentAdmissionLimits.coreModulesMax + 1 }, () =>
          section(id.coreModule, coreHeader),
        ),
      ),
      /core modules: 65, where at most 64/,
    ],
    "instances that double": [doublingInstances(), /instances of core modules: \d+, where at most 64/],
    "a length beyond the end": [component([id.type, 100, 1]), /truncated/],
    "a list longer than its section": [component(section(id.type, [0xff, 0x3f])), /truncated/],
    "more definitions than fit": [component(section(id.type, [0xff, 0xff, 0xff, 3])), /types: 8388607/],
    "bytes behind the last entry": [component(section(id.type, [0, 0])), /1 bytes more/],
    "a core module that is a component": [
      component(section(id.coreModule, header)),
      /core module 0: a WebAssembly component of version 13/,
    ],
    "a core module with a huge table": [
      component(section(id.coreModule, [...coreHeader, ...section(4, list([0x70, 0, 0x80, 0xad, 0xe2, 4]))])),
      /core module 0: elements of a table: 10000000/,
    ],
    "an asynchronous function": [component(section(id.type, list([0x43, 0, 1, 0]))), /belongs to WASI 0.3/],
    "a stream": [component(section(id.type, list([0x66, 0]))), /belongs to WASI 0.3/],
    "an asynchronous built-in": [component(section(id.canon, list([0x09, 1, 0, 0]))), /belongs to WASI 0.3/],
    "an unknown section": [component(section(13, [0])), /section 13 of a component is not supported/],
    "an index of nothing": [component(section(id.instance, list([0, 7, 0]))), /there is no component 7/],
    "a type that is not there yet": [component(section(id.type, list([0x70, 0]))), /there is no type 0/],
  };

  test.each(Object.entries(bombs))("%s", (_, [bytes, says]) => {
    expect(refusal(bytes)).toMatch(says);
  });

  test("memories that are too much together, although each alone is not", async () => {
    const bytes = await componentWat(`(component
      (core module $m (memory (export "memory") 10))
      (core instance (instantiate $m)) (core instance (instantiate $m)))`);
    const { coreInstances } = readComponent(bytes, memoryBytesMax);
    expect(() => memoryShares(coreInstances, memoryBytesMax)).toThrow(
      "the memories begin with 1310720 bytes together, the instance may use 1048576",
    );
  });
});

describe("P18: no bytes break the reader", () => {
  let wild: Uint8Array;
  beforeAll(async () => {
    wild = await componentWat(wildComponent);
  });

  const reads = (bytes: Uint8Array) => {
    try {
      const { imports, exports, coreInstances } = readComponent(bytes, memoryBytesMax);
      memoryShares(coreInstances, memoryBytesMax);
      operationsOf(exports);
      sortImports(imports);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "INVALID_MODULE" || error.fix === "") throw error;
    }
  };

  test("anything behind the header", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => reads(component([...bytes]))),
      {
        numRuns: 1_000,
      },
    );
  });

  test("a real component with bytes changed", () => {
    const change = fc.tuple(fc.nat({ max: 10_000 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = wild.slice();
        for (const [at, value] of changes) bytes[8 + (at % (bytes.length - 8))] = value;
        reads(bytes);
      }),
      { numRuns: 1_000 },
    );
  });

  test("memories share no more than the limit, whatever they begin with", () => {
    const part = (minPages: number) =>
      ({ summary: { memory: { minPages }, tables: [] } }) as unknown as CorePart;
    const parts = fc.array(fc.tuple(fc.nat({ max: 4 }), fc.integer({ min: 1, max: 3 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(parts, fc.integer({ min: 64, max: 1_000 }), (list, pages) => {
        const instances = new Map(list.map(([minPages, count]) => [part(minPages), count] as const));
        let total = 0;
        for (const [one, bytes] of memoryShares(instances, pages * 65_536))
          total += bytes * (instances.get(one) ?? 0);
        expect(total).toBeLessThanOrEqual(pages * 65_536);
      }),
    );
  });
});

/** Each component instantiates the one before it twice; written out, the last would hold 2¹⁵ instances. */
function doublingInstances(): Uint8Array {
  const twice = (index: number): Bytes => section(id.instance, list([0, index, 0], [0, index, 0]));
  const outer = (index: number): Bytes => section(id.alias, list([4, 2, 1, index]));
  const first: Bytes = [
    ...header,
    ...section(id.coreModule, coreHeader),
    ...section(id.coreInstance, list([0, 0, 0])),
  ];
  const sections: Bytes[] = [section(id.component, first)];
  for (let index = 0; index < 15; index += 1) {
    sections.push(section(id.component, [...header, ...outer(index), ...twice(0)]));
  }
  return component(...sections);
}
