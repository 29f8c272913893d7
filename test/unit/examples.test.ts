import { describe, expect, test } from "vitest";
import { buildExamples, exampleNames, quickstartExamples } from "../../scripts/build-examples.ts";
import { linkErrors } from "../../src/wasm/guests/load-guest.ts";
import { admittedExample, exampleGuest } from "../support/example-guest.ts";

const wapcSdk = [
  "__console_log",
  "__guest_error",
  "__guest_request",
  "__guest_response",
  "__host_call",
  "__host_error",
  "__host_error_len",
  "__host_response",
  "__host_response_len",
].map((name) => `wapc.${name}`);

describe("the build", () => {
  test("builds nothing twice", async () => {
    await buildExamples(quickstartExamples);
    const again = await buildExamples(quickstartExamples);
    expect(quickstartExamples.map((name) => again[name].built)).toEqual([false, false, false]);
  });

  test.each(exampleNames.filter((name) => name !== "hello-http"))(
    "%s names its functions, has no other debug data, and starts with one page",
    async (name) => {
      const { summary } = await admittedExample(name);
      expect(summary.hasNames).toBe(true);
      expect(summary.customSections.filter((section) => section.startsWith(".debug"))).toEqual([]);
      expect(summary.memory?.minPages).toBe(1);
    },
  );

  test.each([
    ["echo", ["__guest_call", "memory"], wapcSdk.slice(1, 4)],
    ["counter", ["__guest_call", "memory", "wapc_init"], wapcSdk],
    ["crasher", ["__guest_call", "memory", "wapc_init"], wapcSdk.slice(0, 4)],
  ] as const)("%s imports and exports what its source says and no more", async (name, exports, imports) => {
    const { summary, kind, bytes } = await admittedExample(name);
    expect(summary.exports.map((each) => each.name).sort()).toEqual(exports);
    expect(summary.imports.map((each) => `${each.module}.${each.name}`).sort()).toEqual(imports);
    expect(kind).toBe("wapc");
    expect(linkErrors(new WebAssembly.Module(bytes), kind)).toEqual([]);
  });
});

describe("echo", () => {
  test("answers its payload at once, of any size", async () => {
    const { call } = exampleGuest(await admittedExample("echo"));
    for (const size of [0, 1, 32, 65_535, 65_536, 1_000_000, 32]) {
      const payload = new Uint8Array(size).fill(size % 251);
      expect(call("anything", payload)).toEqual(payload);
    }
  });

  test("refuses a payload that its memory cannot hold, and lives on", async () => {
    const { call, say } = exampleGuest(await admittedExample("echo", 2));
    expect(() => call("anything", new Uint8Array(131_072))).toThrow(
      "the payload does not fit into the memory that this guest may have",
    );
    expect(await say("echo", "still here")).toBe("still here");
  });

  test("answers 200,000 calls in the page that it began with", async () => {
    const { call } = exampleGuest(await admittedExample("echo", 1));
    const payload = new Uint8Array(32).fill(7);
    for (let calls = 0; calls < 200_000; calls++) await call("echo", payload);
    expect(call("echo", payload)).toEqual(payload);
  });
});

describe("counter", () => {
  test("counts in its store, which is all that it has", async () => {
    const { say, lines } = exampleGuest(await admittedExample("counter"));
    expect(await say("get")).toBe("0");
    expect(await say("increment")).toBe("1");
    expect(await say("increment", "41")).toBe("42");
    expect(await say("get")).toBe("42");
    expect(await say("reset")).toBe("0");
    expect(await say("get")).toBe("0");
    expect(lines).toEqual(["console: reset"]);
  });

  test("counts under the name that its start command gave", async () => {
    const asked: string[] = [];
    const { say } = exampleGuest(await admittedExample("counter"), {
      config: { KEY: "visits" },
      provider: async (_operation, payload) => {
        asked.push(Buffer.from(payload).toString("latin1"));
        return Buffer.of(0x81, 0xa5, ...Buffer.from("value"), 0x07);
      },
    });
    expect(await say("increment", "3")).toBe("7");
    expect(asked).toEqual(["\x82\xa3key\xa6visits\xa2by\x03"]);
  });

  test.each([
    ["increment", "kv:write"],
    ["get", "kv:read"],
    ["reset", "kv:write"],
  ])("says which permission %s lacks, and goes on once it is there (R2.5)", async (operation, permission) => {
    let granted = false;
    const { say } = exampleGuest(await admittedExample("counter"), { mayUse: () => granted });
    await expect(say(operation)).rejects.toMatchObject({
      code: "GUEST_ERROR",
      message: expect.stringMatching(
        new RegExp(
          `^the counter cannot use its store: PERMISSION_DENIED: .* \\(it needs ${permission} on "store"\\)$`,
        ),
      ),
    });
    granted = true;
    expect(await say(operation)).toBe(operation === "increment" ? "1" : "0");
  });

  test.each(["x", "-1", "1.5", "1 ", "1234567890123456"])("does not add %j", async (step) => {
    const { say } = exampleGuest(await admittedExample("counter"));
    await expect(say("increment", step)).rejects.toThrow("is not a whole number of at most 15 digits");
    expect(await say("get")).toBe("0");
  });

  test("says what operations there are", async () => {
    const { say } = exampleGuest(await admittedExample("counter"));
    await expect(say("add")).rejects.toThrow(
      'this guest has no operation "add"; it has increment, get, reset',
    );
  });

  test("counts to 200,000 in the page that it began with (R1.3)", async () => {
    const { say, call } = exampleGuest(await admittedExample("counter", 1));
    const nothing = new Uint8Array(0);
    for (let calls = 0; calls < 200_000; calls++) await call("increment", nothing);
    expect(await say("get")).toBe("200000");
  });
});

describe("crasher", () => {
  test("traps with the names of the functions that it was in", async () => {
    const { say, endOf } = exampleGuest(await admittedExample("crasher"));
    expect(await say("ok")).toBe("ok");
    const end = await endOf("trap");
    expect(end).toMatchObject({ type: "trap", message: "divide by zero" });
    expect(end.backtrace.slice(0, 5).map((frame) => /crasher\/(\w+) /.exec(frame)?.[1])).toEqual([
      "breakTheKey",
      "breakTheKey",
      "turnTheKey",
      "turnTheKey",
      "openTheVault",
    ]);
  });

  test.each([
    ["spin", { type: "fuel" }, "spin"],
    ["grow", { type: "memory" }, "grow"],
    ["overflow", { type: "trap", message: "stack overflow" }, "descend"],
  ])("%s ends it, and the backtrace says where", async (operation, why, where) => {
    const { endOf } = exampleGuest(await admittedExample("crasher"));
    const end = await endOf(operation);
    expect(end).toMatchObject(why);
    expect(end.backtrace[0]).toContain(`crasher/crasher/${where} `);
  });
});
