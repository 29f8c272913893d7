import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, test } from "vitest";
import { admit } from "../../../src/wasm/admission/admit.ts";

const { resolve } = createRequire(import.meta.url);

test("a module of somebody else's that wants functions of a host of its own is refused, each by name", () => {
  const bytes = new Uint8Array(readFileSync(resolve("quickjs-wasi/quickjs.wasm")));
  expect(() => admit(bytes, { memoryBytesMax: 64 * 1024 * 1024 })).toThrow(
    expect.objectContaining({
      code: "INVALID_MODULE",
      message: expect.stringMatching(/unknown import .*env\.host_/),
      fix: expect.stringContaining("wasi_snapshot_preview1"),
    }),
  );
});
