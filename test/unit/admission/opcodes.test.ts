import { describe, expect, it } from "vitest";
import { Failure } from "../../../src/protocol/errors.ts";
import { ByteReader } from "../../../src/wasm/admission/byte-reader.ts";
import { scanCode } from "../../../src/wasm/admission/scan-code.ts";
import { binary, body, type Bytes, id, leb, list, section, voidType } from "../../support/wasm-bytes.ts";

const zeros = (count: number): Bytes => Array.from({ length: count }, () => 0);

/** Every form that immediates can take; of those that V8 takes, the right one comes first. */
const forms: readonly Bytes[] = [
  [],
  [0x70], // a heap type
  ...[1, 2, 3, 4, 8, 16].map(zeros),
  ...[1, 2, 3].map((alignment) => [alignment, 0]), // of atomics, which must be exact
  [1, 0x7f], // one value type
  [1, 0, 0], // one label and the default
  [0x40, 0x0b], // no block type, end
  [0x40, 0, 0x0b], // no block type, no clauses, end
];

/**
 * A vector constant and a return. It makes a form that is too short invalid: whatever number of its bytes is
 * swallowed as immediates, what is left begins with an opcode that nothing has.
 */
const stop: Bytes = [0xfd, 12, ...Array.from({ length: 16 }, () => 0xff), 0x0f];

/** An instruction on a stack that fits all, among one of everything that can be named. */
function moduleWith(code: Bytes): Uint8Array<ArrayBuffer> {
  return binary(
    voidType,
    section(id.function, list([0])),
    section(id.table, list([0x70, 0, 1])),
    section(id.memory, list([0, 1])),
    section(id.tag, list([0, 0])),
    section(id.global, list([0x7f, 1, 0x41, 0, 0x0b])),
    section(id.element, list([1, 0, 1, 0])),
    section(id.dataCount, [1]),
    section(id.code, list(body([0x00, ...code, ...stop], [[1, 0x7f]]))),
    section(id.data, list([1, 0])),
  );
}

/** What V8 takes as the immediates of an opcode, or nothing if it takes none of the forms. */
function formOfEngine(code: Bytes): Bytes | undefined {
  return forms.find((form) => WebAssembly.validate(moduleWith([...code, ...form])));
}

/** Where the scanner sees the loop that stands behind the instruction, or why it refuses. */
function loopBehind(code: Bytes): number | string {
  const bytes = Uint8Array.from([...code, 0x03, 0x40, 0x0b, 0x0b]);
  try {
    return (
      scanCode(new ByteReader(bytes, 0, bytes.length, "test"), unknown + 1).loopHeads.at(-1) ?? "no loop"
    );
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

/** A byte that is a fine immediate, but no instruction: a scanner that steps short of it refuses it. */
const unknown = 0x27;

/** The same form with such bytes for the zeros, which would pass for an instruction. */
function conspicuous(form: Bytes, [opcode]: Bytes): Bytes {
  const branchTable = 0x0e;
  const areIndices = form.every((byte) => byte < 4) && opcode !== branchTable;
  return areIndices ? form.map((byte) => (byte === 0 ? unknown : byte)) : form;
}

interface Comparison {
  /** Opcodes that both know. */
  known: number;
  /** Opcodes that the scanner steps over in another length than V8. */
  different: number[];
  onlyEngine: number[];
  onlyScanner: number[];
}

function compare(codes: readonly (readonly [number, Bytes])[]): Comparison {
  const result: Comparison = { known: 0, different: [], onlyEngine: [], onlyScanner: [] };
  for (const [number, code] of codes) {
    const form = formOfEngine(code);
    if (form === undefined) {
      if (forms.some((tried) => typeof loopBehind([...code, ...tried]) === "number")) {
        result.onlyScanner.push(number);
      }
      continue;
    }
    const behind = loopBehind([...code, ...conspicuous(form, code)]);
    if (behind === code.length + form.length + 2) result.known += 1;
    else if (typeof behind === "number") result.different.push(number);
    else result.onlyEngine.push(number);
  }
  return result;
}

const prefixed = (prefix: number, count: number) =>
  Array.from({ length: count }, (_, number) => [number, [prefix, ...leb(number)]] as const);

describe("the scanner and V8 read the same instructions in the same lengths", () => {
  it("of one byte", () => {
    const prefixes = 0xfb;
    const plain = Array.from({ length: prefixes }, (_, number) => [number, [number]] as const);
    expect(compare(plain)).toEqual({
      known: 187,
      different: [],
      // Calls through references and GC, which are refused on purpose.
      onlyEngine: [0x14, 0x15, 0xd3, 0xd4, 0xd5, 0xd6],
      // What V8 takes only inside of `if` or `try`, or behind other things that the forms do not have.
      onlyScanner: [0x05, 0x07, 0x09, 0x19],
    });
  });

  it("behind 0xFC", () => {
    expect(compare(prefixed(0xfc, 300))).toEqual({
      known: 18,
      different: [],
      onlyEngine: [],
      onlyScanner: [],
    });
  });

  it("behind 0xFD", () => {
    expect(compare(prefixed(0xfd, 600))).toEqual({
      known: 256,
      different: [],
      onlyEngine: [],
      onlyScanner: [],
    });
  });

  it("behind 0xFE", () => {
    expect(compare(prefixed(0xfe, 300))).toEqual({
      known: 67,
      different: [],
      onlyEngine: [],
      onlyScanner: [],
    });
  });
});

describe("instructions with longer immediates", () => {
  const cases: Record<string, Bytes> = {
    "a block with a value type": [0x02, 0x7f, 0x41, 1, 0x0b, 0x1a],
    "a block with a type index in two bytes": [0x02, 0x80, 0x00, 0x0b],
    "a block with a padded empty type": [0x02, 0xc0, 0x7f, 0x0b],
    "a branch table of three labels": [0x02, 0x40, 0x41, 0, 0x0e, 2, 0, 1, 0, 0x0b],
    "a load with a memory index": [0x41, 0, 0x28, 0x42, 0, 4, 0x1a],
    "a load with a padded offset": [0x41, 0, 0x28, 0x02, 0x84, 0x80, 0x00, 0x1a],
    "a vector shuffle": [0xfd, 12, ...zeros(16), 0xfd, 12, ...zeros(16), 0xfd, 13, ...zeros(16), 0x1a],
    "a prefixed opcode in two bytes": [0x43, ...zeros(4), 0xfc, 0x80, 0x00, 0x1a],
    "a try with catch, rethrow and catch_all": [0x06, 0x40, 0x07, 0, 0x09, 0, 0x19, 0x01, 0x0b],
    "a try that delegates": [0x06, 0x40, 0x06, 0x40, 0x18, 0, 0x19, 0x0b],
    "a try_table with catch and catch_all": [0x1f, 0x40, 2, 0, 0, 0, 2, 0, 0x0b],
    "a try_table that keeps its exception": [0x02, 0x69, 0x1f, 0x40, 1, 3, 0, 0x0b, 0x0f, 0x0b, 0x1a],
    "a null exception": [0xd0, 0x69, 0x1a],
    "an if with an else": [0x41, 1, 0x04, 0x40, 0x05, 0x01, 0x0b],
    "a select of one type": [0x41, 1, 0x41, 2, 0x41, 0, 0x1c, 1, 0x7f, 0x1a],
    "a constant of ten bytes": [0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x1a],
    "a constant of i64's least value": [
      0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0x1a,
    ],
  };

  it.each(Object.entries(cases))("%s", (_, code) => {
    expect(WebAssembly.validate(moduleWith(code))).toBe(true);
    expect(loopBehind(code)).toBe(code.length + 2);
  });
});
