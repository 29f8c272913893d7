import fc from "fast-check";
import { Packr, Unpackr } from "msgpackr";
import { beforeAll, describe, expect, test } from "vitest";
import type { AdmittedModule } from "../../src/wasm/admission/admit.ts";
import { admittedExample, exampleGuest } from "../support/example-guest.ts";
import type { ExampleGuest, ExampleWorld } from "../support/example-guest.ts";

const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false, int64AsType: "number" });
let admitted: AdmittedModule;

beforeAll(async () => {
  admitted = await admittedExample("sdk-check", 32);
});

function checkGuest(world: ExampleWorld = {}): ExampleGuest {
  return exampleGuest(admitted, world);
}

describe("MessagePack in the guest", () => {
  test.each([
    ["int", fc.maxSafeInteger()],
    ["int", fc.integer({ min: -70_000, max: 70_000 })],
    ["str", fc.string({ unit: "binary" })],
    ["str", fc.integer({ min: 0, max: 70_000 }).map((length) => "ä".repeat(length))],
    ["bin", fc.uint8Array({ maxLength: 300 })],
    ["bin", fc.integer({ min: 0, max: 70_000 }).map((length) => new Uint8Array(length).fill(7))],
    ["bool", fc.option(fc.boolean())],
  ] as const)(
    "reads every %s that the host writes, and the host reads what it writes",
    async (type, values) => {
      const { call } = checkGuest();
      await fc.assert(
        fc.asyncProperty(values as fc.Arbitrary<unknown>, async (value) => {
          expect(unpackr.unpack(await call(type, packr.pack(value)))).toEqual(value);
        }),
        { numRuns: 200 },
      );
    },
  );

  test("passes over any value to the one behind it", async () => {
    const { call } = checkGuest();
    await fc.assert(
      fc.asyncProperty(
        fc.anything({ withDate: true, withTypedArray: false }),
        fc.string(),
        async (any, then) => {
          const value = JSON.parse(JSON.stringify({ any })) as unknown;
          const extended = [value, new Date(1e12), 1.5, -0, 2 ** 60, Buffer.alloc(300), "x".repeat(70_000)];
          expect(unpackr.unpack(await call("second", packr.pack([extended, then])))).toEqual([then]);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("reads garbage as unreadable, and neither traps nor takes memory for lengths that are not there", async () => {
    const { call } = checkGuest();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("int", "str", "bin", "bool", "second"),
        fc.uint8Array({ maxLength: 12 }),
        async (operation, bytes) => {
          const answer = await Promise.resolve(call(operation, bytes)).catch((error: Error) => error.message);
          if (typeof answer === "string") expect(answer).toBe("not readable");
          else expect(answer.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("the kv client", () => {
  test("performs every operation of kv", async () => {
    const { say } = checkGuest();
    expect(await say("get", "a")).toBe("(none)");
    expect(await say("exists", "a")).toBe("false");
    expect(await say("delete", "a")).toBe("false");
    await say("set", "a=Öl");
    expect(await say("get", "a")).toBe("Öl");
    expect(await say("exists", "a")).toBe("true");
    expect(await say("delete", "a")).toBe("true");
    expect(await say("get", "a")).toBe("(none)");
    expect(await say("increment", "n=-5")).toBe("-5");
    expect(await say("increment", "n=100000000000")).toBe("99999999995");
    for (const key of ["k1", "k2", "k3", "k4", "k5"]) await say("set", `${key}=v`);
    expect(await say("list", "k")).toBe("k1 k2|k3 k4|k5");
    expect(await say("list", "none")).toBe("");
  });

  test.each(["get", "set", "delete", "exists", "increment", "list"])(
    "hands the reason to the guest when %s is refused (R5.4)",
    async (operation) => {
      const { say } = checkGuest({ mayUse: (asked) => asked !== operation });
      await expect(say(operation, "a=1")).rejects.toMatchObject({
        code: "GUEST_ERROR",
        message: `PERMISSION_DENIED: no grant for ${operation} of store`,
      });
    },
  );

  test.each(["get", "delete", "exists", "increment", "list"])(
    "takes an answer to %s that it does not understand for an error",
    async (operation) => {
      const { say } = checkGuest({
        provider: async () => packr.pack({ value: [], deleted: 1, exists: 1, keys: 1 }),
      });
      await expect(say(operation, "a=1")).rejects.toThrow(
        "the provider's answer is not of the form that this guest knows",
      );
    },
  );
});

describe("the rest of the guest SDK", () => {
  test("reads the configuration of the start command, and no more", async () => {
    const { say } = checkGuest({ config: { GREETING: "Grüß Gott" } });
    expect(await say("config", "GREETING")).toBe("Grüß Gott");
    await expect(say("config", "OTHER")).rejects.toThrow("not set");
  });

  test("lets the guest act on a refused host call", async () => {
    expect(await checkGuest().say("refused")).toBe("PERMISSION_DENIED: no grant for get of nobody");
  });

  test("writes lines to the log", async () => {
    const { say, lines } = checkGuest();
    await say("log", "all is wéll");
    expect(lines).toEqual(["console: all is wéll"]);
  });

  test("logs what was thrown, with its place, and traps", async () => {
    const { endOf, lines } = checkGuest();
    expect(await endOf("throw", Buffer.from("no way"))).toMatchObject({
      type: "trap",
      message: "unreachable",
    });
    expect(lines).toEqual([
      expect.stringMatching(/^console: no way \(guest-sdk\/check\/check\.ts:\d+:\d+\)$/),
    ]);
  });

  test("frees between two calls what a call has left behind", async () => {
    const { call } = checkGuest();
    const nothing = new Uint8Array(0);
    // A megabyte each, in two megabytes of memory.
    for (let calls = 0; calls < 1_000; calls++) await call("garbage", nothing);
    expect((await call("garbage", nothing)).length).toBe(1_000);
  });
});
