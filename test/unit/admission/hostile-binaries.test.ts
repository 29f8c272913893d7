import { describe, expect, it } from "vitest";
import { moduleLimits } from "../../../src/limits.ts";
import { admit } from "../../../src/wasm/admission/admit.ts";
import { failureFrom } from "../../support/failure-of.ts";
import {
  binary,
  body,
  type Bytes,
  functionModule,
  header,
  id,
  leb,
  list,
  name,
  oneFunction,
  repeated,
  section,
  voidType,
} from "../../support/wasm-bytes.ts";

const memoryBytesMax = 16 * 65_536;
const ascii = (text: string) => new TextEncoder().encode(text);
const types = (...entries: Bytes[]) => section(id.type, list(...entries));
const memory = (...limits: Bytes) => section(id.memory, list(limits));
const table = (...limits: Bytes) => section(id.table, list([0x70, ...limits]));
const f = (...instructions: Bytes) => functionModule(instructions);
const tooLong = "x".repeat(moduleLimits.nameBytesMax + 1);

/** What is sent, and what the refusal must say. */
const hostile: Record<string, [bytes: Uint8Array, says: RegExp]> = {
  "nothing at all": [new Uint8Array(), /the module is empty/],
  "half a magic number": [Uint8Array.from(header.slice(0, 3)), /truncated: .* at least 8 bytes, this has 3/],
  "a header without its version": [Uint8Array.from(header.slice(0, 6)), /truncated/],
  "an ELF binary": [Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0), /look like an ELF binary/],
  "a Windows executable": [ascii("MZ\u{90}\0\u{3}\0\0\0"), /look like a Windows executable/],
  "gzip data": [Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0), /look like gzip data/],
  "a zip archive": [Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0), /look like a zip archive/],
  "WebAssembly text": [ascii("  (module (memory 1))"), /look like WebAssembly text/],
  "a path": [ascii("../../etc/passwd"), /look like text/],
  noise: [Uint8Array.of(0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4), /begins with de ad be ef/],
  "a component": [
    Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0),
    /a WebAssembly component of version 13, where a core module is expected/,
  ],
  "an unknown version": [Uint8Array.of(0, 0x61, 0x73, 0x6d, 2, 0, 0, 0), /version 2 of layer 0 is unknown/],
  "more bytes than any module": [oversized(), /bytes of the module: 134217729, where at most 134217728/],

  "a section longer than the file": [binary([id.type, 100, 1]), /module: truncated/],
  "a section with half a length": [binary([id.type, 0x80]), /module: truncated/],
  "a length beyond 32 bits": [binary([id.type, 0xff, 0xff, 0xff, 0xff, 0x7f]), /does not fit 32 bits/],
  "a section longer than its contents": [
    binary(section(id.type, [...list([0x60, 0, 0]), 0])),
    /type section, byte 14: 1 bytes more/,
  ],
  "a section shorter than its contents": [
    binary(section(id.type, [2, 0x60, 0, 0])),
    /type section: truncated/,
  ],
  "sections out of order": [binary(memory(0, 1), voidType), /the type section is out of order/],
  "a section twice": [binary(voidType, voidType), /a second type section/],
  "an unknown section": [binary(section(14, [0])), /unknown section 14/],
  "functions without bodies": [
    binary(voidType, section(id.function, list([0], [0]))),
    /2 functions are declared, 0 have a body/,
  ],
  "a lying data count": [binary(section(id.dataCount, [3])), /3 data segments are declared, 0 are there/],
  "a body cut short": [
    binary(voidType, section(id.function, list([0])), section(id.code, [1, 9, 0])),
    /truncated/,
  ],
  "a function of an unknown type": [binary(voidType, section(id.function, list([7]))), /there is no type 7/],
  "an export of an unknown function": [
    binary(section(id.export, list([...name("f"), 0, 3]))),
    /there is no function 3/,
  ],
  "an export of an unknown kind": [
    binary(section(id.export, list([...name("f"), 9, 0]))),
    /unknown external kind 0x9/,
  ],
  "two exports of one name": [
    binary(memory(0, 1), section(id.export, list([...name("m"), 2, 0], [...name("m"), 2, 0]))),
    /two exports of the same name/,
  ],
  "a start function that is not there": [binary(section(id.start, [0])), /there is no function 0/],
  "a name that is not UTF-8": [binary(section(id.export, list([2, 0xc3, 0x28, 0, 0]))), /is not UTF-8/],

  "a table of 10,000,000 in 20 bytes": [
    binary(table(0, ...leb(10_000_000))),
    /elements of a table: 10000000, where at most 100000/,
  ],
  "100 tables": [binary(section(id.table, repeated(100, [0x70, 0, 1]))), /tables: 100, where at most 16/],
  "a table with its maximum below its minimum": [binary(table(1, 5, 4)), /maximum 4 is below its minimum 5/],
  "a 64-bit table": [binary(table(4, 1)), /a 64-bit table is not admitted/],
  "an imported table too big": [
    binary(section(id.import, list([...name("a"), ...name("b"), 1, 0x70, 0, ...leb(200_000)]))),
    /elements of a table: 200000/,
  ],
  "a table of exceptions": [binary(section(id.table, list([0x69, 0, 1]))), /exnref cannot stand here/],
  "a table with an initialiser": [
    binary(section(id.table, list([0x40, 0, 0x70, 0, 1, 0xd0, 0x70, 0x0b]))),
    /a table with an initialiser/,
  ],

  "a memory beyond the limit": [
    binary(memory(0, 17)),
    /begins with 1114112 bytes, the instance may use 1048576/,
  ],
  "a memory of 2^32 pages": [binary(memory(0, ...leb(2 ** 32 - 1))), /more than 65536 pages/],
  "two memories": [binary(section(id.memory, list([0, 1], [0, 1]))), /memories: 2, where at most 1/],
  "a shared memory": [binary(memory(3, 1, 1)), /a shared memory is not admitted/],
  "a 64-bit memory": [binary(memory(4, 1)), /a 64-bit memory is not admitted/],
  "a memory of odd pages": [binary(memory(8, 1, 0)), /pages of its own size/],
  "a memory with unknown limits": [binary(memory(16, 1)), /unknown limits 0x10/],
  "an imported memory": [
    binary(section(id.import, list([...name("env"), ...name("memory"), 2, 0, 1]))),
    /the memory is imported/,
  ],

  "a structure type": [binary(types([0x5f, 0])), /type 0x5f belongs to garbage-collected/],
  "an array type": [binary(types([0x5e, 0x7f, 0])), /type 0x5e belongs to garbage-collected/],
  "a recursive type": [binary(types([0x4e, 1, 0x60, 0, 0])), /type 0x4e belongs to garbage-collected/],
  "a subtype": [binary(types([0x50, 0, 0x60, 0, 0])), /type 0x50 belongs to garbage-collected/],
  "a parameter of any reference": [binary(types([0x60, 1, 0x6e, 0])), /reference type 0x6e/],
  "a typed function reference": [binary(types([0x60, 1, 0x64, 0, 0])), /reference type 0x64/],
  "a GC instruction": [f(0x41, 1, 0xfb, 28, 0x1a), /instruction 0xfb belongs to garbage-collected/],
  "a call by reference": [f(0x00, 0x14, 0), /instruction 0x14 belongs to garbage-collected/],
  "a null of any reference": [f(0xd0, 0x6e, 0x1a), /reference type 0x6e/],
  "a null of a type of its own": [f(0xd0, 0, 0x1a), /a null of a type of its own belongs to garbage/],
  "a null of a number": [f(0xd0, 0x7f, 0x1a), /i32 has no null/],
  "a GC block type": [f(0x00, 0x02, 0x6d, 0x00, 0x0b), /reference type 0x6d/],
  "a GC initialiser": [
    binary(section(id.global, list([0x6f, 0, 0xfb, 28, 0x0b]))),
    /an initialiser with instruction 0xfb/,
  ],
  "a value type that is none": [binary(types([0x60, 1, 0x12, 0])), /0x12 is not a value type/],

  "50,000 functions with 50,000 locals each": [
    binary(
      voidType,
      section(id.function, repeated(50_000, [0])),
      section(id.code, repeated(50_000, body([], [[...leb(50_000), 0x7e]]))),
    ),
    /locals of a function: 50000, where at most 10000/,
  ],
  "locals that add up beyond 32 bits": [
    binary(
      voidType,
      section(id.function, list([0])),
      section(id.code, list(body([], repeatedRuns(3, 2 ** 32 - 1)))),
    ),
    /locals of a function: 4294967295/,
  ],
  "2,000 functions with 9,999 locals each": [
    binary(
      voidType,
      section(id.function, repeated(2_000, [0])),
      section(id.code, repeated(2_000, body([], [[...leb(9_999), 0x7e]]))),
    ),
    /locals of all functions: 10008999, where at most 10000000/,
  ],
  "1,000,000 functions": [
    binary(voidType, section(id.function, leb(1_000_000))),
    /functions: 1000000, where/,
  ],
  "1,000,000 types": [binary(section(id.type, leb(1_000_000))), /types: 1000000, where at most 100000/],
  "a type of 1,001 parameters": [
    binary(types([0x60, ...repeated(1_001, [0x7f]), 0])),
    /parameters or results of a function type: 1001/,
  ],
  "a type section of 5 MB": [
    binary(section(id.type, repeated(5_100, [0x60, ...repeated(1_000, [0x7f]), 0]))),
    /bytes of the type section: \d+, where at most 4194304/,
  ],
  "1,001 imports": [binary(section(id.import, leb(1_001))), /imports: 1001, where at most 1000/],
  "100,000 exports": [binary(section(id.export, leb(100_000))), /exports: 100000, where at most 10000/],
  "100,000 globals": [binary(section(id.global, leb(100_000))), /globals: 100000, where at most 10000/],
  "1,000,000 data segments": [binary(section(id.data, leb(1_000_000))), /data segments: 1000000/],
  "1,000,000 element segments": [binary(section(id.element, leb(1_000_000))), /element segments: 1000000/],
  "a segment of 1,000,000 elements": [
    binary(section(id.element, list([1, 0, ...leb(1_000_000)]))),
    /elements of a segment: 1000000/,
  ],
  "segments of 300,000 elements together": [
    binary(section(id.element, repeated(3, [1, 0, ...repeated(100_000, [0])]))),
    /elements of segments: 300000, where at most 200000/,
  ],
  "1,001 custom sections": [
    binary(Array.from({ length: 1_001 }, () => section(id.custom, name("x"))).flat()),
    /custom sections: 1001, where at most 1000/,
  ],
  "1,001 tags": [binary(voidType, section(id.tag, leb(1_001))), /tags: 1001, where at most 1000/],
  "an exception of 5 values": [
    binary(types([0x60, ...repeated(5, [0x7f]), 0]), section(id.tag, list([0, 0]))),
    /values of an exception: 5, where at most 4/,
  ],
  "a global of exceptions": [
    binary(section(id.global, list([0x69, 1, 0xd0, 0x69, 0x0b]))),
    /a global that holds exceptions/,
  ],
  "an export name of 4,097 bytes": [
    binary(memory(0, 1), section(id.export, list([...name(tooLong), 2, 0]))),
    /bytes of the name of an export: 4097, where at most 4096/,
  ],
  "a custom section named in 4,097 bytes": [
    binary(section(id.custom, name(tooLong))),
    /bytes of the name of a custom section: 4097/,
  ],

  "an unknown instruction": [f(0x27), /body 0 of the code section, byte 30: unknown instruction 0x27/],
  "an unknown vector instruction": [f(0xfd, 0x9a, 0x01), /unknown instruction 0xfd 0x9a/],
  "an unknown atomic instruction": [f(0xfe, 0x4f, 0), /unknown instruction 0xfe 0x4f/],
  "an unknown catch clause": [f(0x1f, 0x40, 1, 4, 0, 0x0b), /unknown catch clause 0x4/],
  "a body that goes on behind its end": [f(0x0b, 0x01), /2 bytes more than its contents account for/],
  "a body without an end": [
    binary(
      voidType,
      section(id.function, list([0])),
      section(id.export, list([...name("f"), 0, 0])),
      section(id.code, list([2, 0, 0x01])),
    ),
    /body 0 of the code section: truncated/,
  ],
  "20,001 nested blocks": [nested(20_001, 0x02), /nested blocks: 20001, where at most 20000/],
  "501 nested loops": [nested(501, 0x03), /nested loops: 501, where at most 500/],
  "an initialiser that calls": [
    binary(section(id.global, list([0x7f, 0, 0x10, 0, 0x0b]))),
    /instruction 0x10 is not constant/,
  ],
  "a read of the fuel that metering appends": [f(0x23, 0, 0x1a), /there is no global 0/],
  "a write to the fuel that metering appends": [f(0x41, 0x7f, 0x24, 1), /there is no global 1/],
  "an export of the fuel that metering appends": [
    binary(section(id.export, list([...name("x"), 3, 0]))),
    /there is no global 0/,
  ],
  "an export with a reserved name": [
    binary(memory(0, 1), section(id.export, list([...name("f"), 2, 0], [...name("__wasmatrix_fuel"), 2, 0]))),
    /no entry point/,
  ],
  "a function under a reserved name": [
    binary(
      voidType,
      section(id.function, list([0])),
      section(id.export, list([...name("__wasmatrix_fuel"), 0, 0])),
      section(id.code, list(body([]))),
    ),
    /exports "__wasmatrix_fuel"; names in __wasmatrix_ are reserved/,
  ],
  "instructions that do not fit together": [
    f(0x6a),
    /the engine refuses the module: Compiling function #0 failed/,
  ],
};

describe("a hostile binary is refused before the engine sees it", () => {
  it.each(Object.entries(hostile))("%s", (_, [bytes, says]) => {
    const failure = failureFrom(() => admit(bytes, { memoryBytesMax }));
    expect(failure).toMatchObject({
      code: "INVALID_MODULE",
      retry: "never",
      fix: expect.stringMatching(/.{10}/),
    });
    expect(failure.message).toMatch(says);
    expect(failure.message.length).toBeLessThan(400);
  });
});

describe("what looks odd but harms nobody is admitted", () => {
  it("exports that are named like members of every object", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty"];
    const bytes = binary(
      voidType,
      section(id.function, list([0])),
      section(id.export, list(...names.map((text) => [...name(text), 0, 0]))),
      section(id.code, list(body([]))),
    );
    const { summary, kind } = admit(bytes, { memoryBytesMax });
    expect(summary.exports.map((entry) => entry.name)).toEqual(names);
    expect(kind).toBe("wasi-reactor");
  });

  it("an empty section, a padded number, 500 nested loops, 20,000 nested blocks", () => {
    const padded = binary(voidType, section(id.import, [0x80, 0x80, 0x00]), ...oneFunction([]));
    for (const bytes of [padded, nested(500, 0x03), nested(20_000, 0x02)]) {
      expect(WebAssembly.validate(admit(bytes, { memoryBytesMax }).bytes)).toBe(true);
    }
  });
});

function repeatedRuns(runs: number, each: number): Bytes[] {
  return Array.from({ length: runs }, () => [...leb(each), 0x7f]);
}

function nested(depth: number, opcode: number): Uint8Array {
  return f(
    ...Array.from({ length: depth }, () => [opcode, 0x40]).flat(),
    ...Array.from({ length: depth }, () => 0x0b),
  );
}

function oversized(): Uint8Array {
  const bytes = new Uint8Array(moduleLimits.moduleBytesMax + 1);
  bytes.set(header);
  return bytes;
}
