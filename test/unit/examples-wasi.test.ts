import { beforeAll, describe, expect, test } from "vitest";
import type { AdmittedModule } from "../../src/wasm/admission/admit.ts";
import { admittedExample, exampleGuest } from "../support/example-guest.ts";

describe("greeter", () => {
  let greeter: AdmittedModule;

  beforeAll(async () => {
    greeter = await admittedExample("greeter");
  });

  test("is a WASI command with no way to files or sockets (R2.2)", () => {
    expect(greeter.kind).toBe("wasi-command");
    expect(greeter.summary.exports.map(({ name }) => name)).toEqual(["memory", "_start"]);
    expect(
      greeter.summary.imports.map(({ name }) => name).filter((name) => /^(path|sock)_/.test(name)),
    ).toEqual([]);
  });

  test("greets with the greeting of its start command, and logs it", async () => {
    const { say, lines } = exampleGuest(greeter, { config: { GREETING: "Servus" } });
    expect(await say("greet", "Ada\n")).toBe("Servus, Ada!");
    expect(await say("greet")).toBe("Servus, world!");
    expect(lines).toEqual(["stderr: greeting Ada", "stderr: greeting world"]);
  });

  test("greets without a greeting, too", async () => {
    expect(await exampleGuest(greeter).say("greet", "Ada")).toBe("Hello, Ada!");
  });

  test("exits with the code that it is given", async () => {
    expect(await exampleGuest(greeter).say("exit", "0")).toBe("");
    expect(await exampleGuest(greeter).endOf("exit", Buffer.from("3"))).toMatchObject({
      type: "exit",
      exitCode: 3,
    });
  });

  test("exits with 1 for an operation that it does not have", async () => {
    const { endOf, lines } = exampleGuest(greeter);
    expect(await endOf("dance")).toMatchObject({ type: "exit", exitCode: 1 });
    expect(lines).toEqual(['stderr: this guest has no operation "dance"; it has greet, exit']);
  });
});

describe("tally", () => {
  let tally: AdmittedModule;

  beforeAll(async () => {
    tally = await admittedExample("tally", 1);
  });

  test("is a WASI reactor whose exports are its operations", () => {
    expect(tally.kind).toBe("wasi-reactor");
    expect(tally.summary.exports.map(({ name }) => name)).toEqual([
      "memory",
      "_initialize",
      "upper",
      "count",
    ]);
  });

  test("answers one call after the other", async () => {
    const { say } = exampleGuest(tally);
    expect(await say("upper", "Ada Lovelace")).toBe("ADA LOVELACE");
    expect(await say("count", "one two\nthree\n")).toBe("2 3 14");
    expect(await say("count")).toBe("0 0 0");
    expect(await say("upper", "x".repeat(100_000))).toBe("X".repeat(100_000));
  });

  test("answers 20,000 calls in the page that it began with", async () => {
    const { call, say } = exampleGuest(tally);
    const text = Buffer.from("one two\nthree\n");
    for (let calls = 0; calls < 20_000; calls++) await call("count", text);
    expect(await say("count", "one")).toBe("0 1 3");
  });
});
