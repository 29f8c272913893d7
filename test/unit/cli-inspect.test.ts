import { describe, expect, test } from "vitest";
import { describeFile, moduleSheet } from "../../cli/render/module-sheet.ts";
import { paintFor } from "../../cli/render/paint.ts";
import { buildExamples } from "../../scripts/build-examples.ts";
import { readFileSync } from "node:fs";
import { describeModule } from "../../src/wasm/describe-module.ts";

const built = await buildExamples(["counter", "greeter", "tally", "hello-http"]);
const inspected = (name: keyof typeof built) => {
  const bytes = new Uint8Array(readFileSync(built[name].path));
  return describeFile(`${String(name)}.wasm`, bytes.length, describeModule(bytes));
};

describe("R13.3: what a module needs is known before it runs", () => {
  test("a component shows its interfaces and the start command with every grant that it can use", () => {
    const module = inspected("hello-http");
    expect(module).toMatchObject({
      kind: "component",
      operations: [{ name: "http-request" }],
      permissions: ["http:request"],
      start:
        "wasmatrix start hello-http.wasm --name hello-http \\\n  --grant http=http:request \\\n  --grant 'web=http-server:serve?path=/'",
    });
    expect(module.imports).toContain("wasi:http/outgoing-handler@0.2.3");
  });

  test("core modules show their kind and what they import", () => {
    expect([inspected("counter").kind, inspected("greeter").kind, inspected("tally").kind]).toEqual([
      "wapc",
      "wasi-command",
      "wasi-reactor",
    ]);
    expect(inspected("tally").operations).toEqual([{ name: "upper" }, { name: "count" }]);
    expect(moduleSheet(paintFor(false, {}), inspected("counter"))).toMatch(
      /kind +wapc\n[^]*wapc\.__host_call\n[^]*start it\nwasmatrix start counter\.wasm --name counter$/,
    );
  });

  test("what is no module is refused with the reason", () => {
    expect(() => describeModule(new Uint8Array([1, 2, 3]))).toThrow(
      expect.objectContaining({ code: "INVALID_MODULE" }),
    );
  });
});
