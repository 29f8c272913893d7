import { describe, expect, test } from "vitest";
import { describeFile, moduleSheet } from "../../cli/render/module-sheet.ts";
import { createColors } from "picocolors";
import { admit } from "../../src/wasm/admission/admit.ts";
import { readComponent } from "../../src/wasm/components/read-component.ts";
import { describeModule } from "../../src/wasm/describe-module.ts";
import { failureFrom } from "../support/failure-of.ts";
import { binary, body, id, leb, list, name, section, voidType } from "../support/wasm-bytes.ts";

const limits = { memoryBytesMax: 1_048_576 };
const importOf = (module: string, field: string) => [...name(module), ...name(field), 0, 0];
const importing = (...names: (readonly [string, string])[]) =>
  binary(voidType, section(id.import, list(...names.map(([module, field]) => importOf(module, field)))));
const exporting = (text: string) =>
  binary(
    voidType,
    section(id.function, list([0])),
    section(id.export, list([...name(text), 0, 0])),
    section(id.code, list(body([]))),
  );

const strange = [
  "\u202egnp.exe",
  "\u2066\u2069",
  "\u0000",
  "\r\nPUB evil 0\r\n",
  "\u001b[2J",
  "${process.exit()}",
  "`;process.exit();`",
  "'+process.exit()+'",
  "\\u0027",
  "*/process.exit()/*",
  "__proto__",
  "constructor",
  "日本語",
];

describe("R13.6, R14.1: names in a module are data, wherever they are shown", () => {
  test.each(strange)("an import from %j is refused in printable words", (text) => {
    const { code, message, fix = "" } = failureFrom(() => admit(importing([text, text]), limits));
    expect(code).toBe("INVALID_MODULE");
    expect(message + fix).toMatch(/^[\x20-\x7e…–]*$/);
    expect((message + fix).length).toBeLessThan(600);
  });

  test.each(strange)("an export %j is an operation that is shown on one line, or is none", (text) => {
    const bytes = exporting(text);
    let sheet: string;
    try {
      sheet = moduleSheet(
        createColors(false),
        describeFile("guest.wasm", bytes.length, describeModule(bytes)),
      );
    } catch (error) {
      expect(error).toMatchObject({ code: "INVALID_MODULE" });
      return;
    }
    // oxlint-disable-next-line no-control-regex -- control characters are what this looks for.
    expect(sheet).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
  });

  test("100,000 imports that are all there are refused at their number", () => {
    const entry = importOf("a", "b");
    const all = Array.from({ length: 100_000 }, () => entry);
    const bytes = binary(voidType, section(id.import, [...leb(100_000), ...all.flat()]));
    expect(failureFrom(() => admit(bytes, limits)).message).toMatch(/imports: 100000, where at most 1000/);
  });

  test("1,000 imports that nobody knows are told in a few", () => {
    const names = Array.from({ length: 1_000 }, (_, at) => ["nowhere", `${"f".repeat(900)}${at}`] as const);
    const { message, fix = "", details } = failureFrom(() => admit(importing(...names), limits));
    expect((message + fix).length).toBeLessThan(2_000);
    expect(JSON.stringify(details ?? {}).length).toBeLessThan(5_000);
  });
});

describe("R13.5: types of components that have no end", () => {
  const header = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
  const component = (...sections: readonly (readonly number[])[]) =>
    Uint8Array.from([header, ...sections].flat());
  const typeSection = 7;

  test.each<[string, Uint8Array]>([
    ["a list of itself", component(section(typeSection, list([0x70, 0])))],
    ["an option of the next type", component(section(typeSection, list([0x6b, 1], [0x6b, 0])))],
    ["a record of itself", component(section(typeSection, list([0x72, 1, ...name("a"), 0])))],
    ["a result of a later one", component(section(typeSection, list([0x6a, 1, 5, 1, 5])))],
    [
      "a function of a type beyond 2^31",
      component(section(typeSection, list([0x40, 1, ...name("x"), ...leb(2 ** 31), 1, 0]))),
    ],
    ["an alias out of 4 billion scopes", component(section(6, list([3, 2, ...leb(2 ** 32 - 1), 0])))],
    [
      "a type nested 5,000 deep",
      component(section(typeSection, [1, ...Array.from({ length: 5_000 }, () => [0x42, 1, 1]).flat()])),
    ],
  ])("%s", (_, bytes) => {
    const beganAt = performance.now();
    const { code, message } = failureFrom(() => readComponent(bytes, 1_048_576));
    expect(code).toBe("INVALID_MODULE");
    expect(message.length).toBeLessThan(400);
    expect(performance.now() - beganAt).toBeLessThan(1_000);
  });

  test("a tuple that doubles 60 times is a type, or is refused, in no time", () => {
    const doubling = Array.from({ length: 60 }, (_, at) =>
      at === 0 ? [0x6f, 2, 0x79, 0x79] : [0x6f, 2, ...leb(at - 1), ...leb(at - 1)],
    );
    const beganAt = performance.now();
    try {
      readComponent(component(section(typeSection, list(...doubling))), 1_048_576);
    } catch (error) {
      expect(error).toMatchObject({ code: "INVALID_MODULE" });
    }
    expect(performance.now() - beganAt).toBeLessThan(1_000);
  });
});
