import { beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { admitComponent } from "../../../src/wasm/components/admit-component.ts";
import { compileScript, scriptOf } from "../../../src/wasm/components/generated-code.ts";
import { translateComponent } from "../../../src/wasm/components/translate.ts";
import { describeModule } from "../../../src/wasm/describe-module.ts";
import { componentWat, wildComponent } from "../../support/component-guests.ts";
import { thrownBy } from "../../support/guest-host.ts";
import { virtualClock } from "../../support/virtual-clock.ts";
import { countingGuest } from "../../support/running-engine.ts";
import { wat } from "../../support/wat.ts";

const memoryBytesMax = 1024 * 1024;
let wild: Uint8Array;

beforeAll(async () => {
  wild = await componentWat(wildComponent);
});

const admitted = async (text: string) =>
  admitComponent(await componentWat(text), memoryBytesMax, systemClock);

describe("R14.1: a component is translated", () => {
  test("into the same code each time, so that its digest stands for it", async () => {
    const request = { bytes: wild, suspendingImports: [], suspendingExports: ["add"] };
    const [one, other] = await Promise.all([
      translateComponent(request, systemClock),
      translateComponent(request, systemClock),
    ]);
    expect(one.source).toBe(other.source);
    expect(one.modules).toEqual(other.modules);
  });

  test("in a thread whose end with one component is no end for the next", async () => {
    // The generator panics over names in capitals.
    const panics = `(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func (export "LOUD-name") (canon lift (core func $i "f"))))`;
    expect(await thrownBy(() => admitted(panics))).toMatchObject({ code: "INVALID_MODULE" });
    expect([...(await admitComponent(wild, memoryBytesMax, systemClock)).operations.keys()]).toContain("add");
  });

  test("only as long as it may take", async () => {
    const clock = virtualClock();
    const translation = thrownBy(() =>
      translateComponent({ bytes: wild, suspendingImports: [], suspendingExports: [] }, clock),
    );
    await clock.advance(60_000);
    expect(await translation).toMatchObject({
      code: "INVALID_MODULE",
      message: "the component cannot be translated: it took longer than 12000 ms",
    });
  });
});

const refusals: Record<string, [text: string, message: RegExp]> = {
  "an interface that no host has": [
    `(component (import "wasi:nn/graph@0.2.0" (instance (export "load" (func)))))`,
    /no host gives a component "wasi:nn\/graph@0.2.0"/,
  ],
  "an interface of WASI 0.3": [
    `(component (import "wasi:random/random@0.3.0" (instance (export "get-random-u64" (func (result u64))))))`,
    /no host gives a component "wasi:random\/random@0.3.0"/,
  ],
  "a single function": [`(component (import "print" (func)))`, /no host gives a component "print"/],
  "a resource of another component": [
    `(component (import "acme:a/b" (instance (export "r" (type (sub resource))) (export "[method]r.go" (func (param "self" (borrow 0)))))))`,
    /no host gives a component "acme:a\/b"/,
  ],
  "a host function that its interface does not have": [
    `(component (import "wasi:random/random@0.2.0" (instance (export "to-string" (func))))
      (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func (export "f") (canon lift (core func $i "f"))))`,
    /no host interface has the functions "wasi:random\/random#to-string"/,
  ],
  "nothing to call": [`(component)`, /exports nothing that can be called/],
  "a name that is a word of JavaScript": [
    `(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func (export "arguments") (canon lift (core func $i "f"))))`,
    /is no JavaScript/,
  ],
};

test.each(Object.entries(refusals))("R13.6: refused with what is wrong: %s", async (_, [text, message]) => {
  const failure = await thrownBy(() => admitted(text));
  expect(failure).toMatchObject({ code: "INVALID_MODULE" });
  expect(String(failure)).toMatch(message);
});

test("R13.3: a module says what it is before it is started", async () => {
  const calling = await componentWat(`(component
    (import "wasi:keyvalue/store@0.2.0-draft" (instance $kv
      (export "bucket" (type $bucket (sub resource)))
      (export "[method]bucket.exists" (func (param "self" (borrow $bucket)) (param "key" string) (result bool)))))
    (import "acme:greet/greeter@1.0.0" (instance (export "hello" (func (param "name" string) (result string)))))
    (core module $m (func (export "f") (param i32))) (core instance $i (instantiate $m))
    (func (export "go") (param "n" u8) (canon lift (core func $i "f"))))`);
  expect(describeModule(calling)).toEqual({
    kind: "component",
    imports: ["wasi:keyvalue/store@0.2.0-draft", "acme:greet/greeter@1.0.0"],
    operations: [{ name: "go", signature: "(n: u8)" }],
    permissions: ["call:<acme:greet/greeter@1.0.0>", "kv:read"],
    memoryBytesMin: 0,
  });
  expect(describeModule(wat(countingGuest))).toMatchObject({
    kind: "wapc",
    operations: undefined,
    permissions: [],
    memoryBytesMin: 65_536,
  });
});

describe("R2.2: generated code", () => {
  test("sees nothing of the process that it runs in", () => {
    const names = ["process", "require", "module", "Buffer", "fetch", "performance", "structuredClone"];
    const seen = names.map((name) => `typeof ${name}, typeof globalThis.${name}`).join(", ");
    const script = `"use strict"; return function instantiate() { return [this, ${seen}]; }`;
    const instantiate = compileScript(script)({ webAssembly: {} }) as unknown as () => unknown[];
    expect(instantiate()).toEqual([undefined, ...names.flatMap(() => ["undefined", "undefined"])]);
  });

  test("that is not as expected is not run", () => {
    const refusal = (source: string) => String(thrownNow(() => scriptOf(source)));
    const start = '"use components";\nexport function instantiate(getCoreModule, imports) {\n';
    expect(refusal("")).toMatch(/not as expected: 0 times "use components";/);
    expect(refusal(`${start}export function instantiate(`)).toMatch(
      /not as expected: 2 times export function/,
    );
    expect(refusal(start)).toMatch(/not as expected: 0 times/);
  });
});

function thrownNow(run: () => unknown): unknown {
  try {
    return run();
  } catch (thrown) {
    return thrown;
  }
}
