import { describe, expect, it } from "vitest";
import { Failure } from "../../../src/protocol/errors.ts";
import { ByteReader } from "../../../src/wasm/admission/byte-reader.ts";
import { ByteWriter, lebOf, signedLebOf } from "../../../src/wasm/admission/byte-writer.ts";
import { binary, id, list, name, section } from "../../support/wasm-bytes.ts";

const edges = [
  0,
  1,
  63,
  64,
  127,
  128,
  8_191,
  8_192,
  16_383,
  16_384,
  1_000_000,
  2 ** 27,
  2 ** 28,
  2 ** 31 - 1,
];

describe("numbers of the binary format", () => {
  it("come back as they were written, up to 32 bits", () => {
    for (const value of [...edges, 2 ** 31, 2 ** 32 - 1]) {
      const bytes = Uint8Array.from(lebOf(value));
      const writer = new ByteWriter(0, 100);
      writer.u32(value);
      expect(writer.take()).toEqual(bytes);
      expect(new ByteReader(bytes, 0, bytes.length, "test").u32()).toBe(value);
    }
  });

  it("mean the same to the engine when they are signed", () => {
    for (const value of edges) {
      const bytes = binary(
        section(id.global, list([0x7f, 0, 0x41, ...signedLebOf(value), 0x0b])),
        section(id.export, list([...name("g"), 3, 0])),
      );
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
      expect((exports["g"] as WebAssembly.Global).value).toBe(value);
    }
  });
});

describe("a writer", () => {
  it("grows to its limit and refuses the first byte beyond it", () => {
    const writer = new ByteWriter(1, 10);
    for (let index = 0; index < 10; index += 1) writer.byte(index);
    expect(() => writer.byte(10)).toThrow(Failure);
    expect([...writer.take()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});
