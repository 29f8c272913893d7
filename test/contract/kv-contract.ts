import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Capability, CapabilityScope } from "../../src/capabilities/capability.ts";
import { capabilityScope } from "../support/capability-scope.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { describeKvBatches } from "./kv-contract-batches.ts";
import { describeKvRevisions } from "./kv-contract-revisions.ts";
import { kvLimits } from "../../src/limits.ts";
import { type Form, decode, encode } from "../../src/protocol/codec.ts";

const forms: Form[] = ["json", "msgpack"];

/** Performs an operation of scope `a` unless told, and decodes its answer. */
export type KvCall = (
  operation: string,
  fields: object,
  form?: Form,
  scope?: CapabilityScope,
) => Promise<{ value: unknown; form: Form }>;

/** What every kv backend must do. `create` makes an empty one, which the suite closes. */
export function describeKvContract(backend: string, create: () => Promise<Capability>): void {
  describe(`R5.1: kv in ${backend}`, () => {
    let kv: Capability;
    beforeEach(async () => {
      kv = await create();
    });
    afterEach(() => kv.close());

    const call: KvCall = (operation, fields, form = "msgpack", scope = scopeOf("a")) =>
      answerOf(kv, scope, operation, encode(fields, form));

    describe.each(forms)("called with %s", (form) => {
      test("get gives what set stored, and null where nothing is", async () => {
        expect(await call("get", { key: "k" }, form)).toEqual({ form, value: { value: null } });
        expect(await call("set", { key: "k", value: "Grüße" }, form)).toEqual({ form, value: {} });
        const value = form === "json" ? "Grüße" : bytesOf("Grüße");
        expect(await call("get", { key: "k" }, form)).toEqual({ form, value: { value } });
      });

      test("set replaces, and an empty value is a value", async () => {
        await call("set", { key: "k", value: "old" }, form);
        await call("set", { key: "k", value: "" }, form);
        expect((await call("get", { key: "k" }, form)).value).toEqual({
          value: form === "json" ? "" : bytesOf(""),
        });
        expect((await call("exists", { key: "k" }, form)).value).toEqual({ exists: true });
      });

      test("delete says whether there was something", async () => {
        await call("set", { key: "k", value: "v" }, form);
        expect((await call("delete", { key: "k" }, form)).value).toEqual({ deleted: true });
        expect((await call("delete", { key: "k" }, form)).value).toEqual({ deleted: false });
        expect((await call("exists", { key: "k" }, form)).value).toEqual({ exists: false });
      });

      test("increment counts from 0, by 1 or by what is given, and leaves decimal text", async () => {
        expect((await call("increment", { key: "n" }, form)).value).toEqual({ value: 1 });
        expect((await call("increment", { key: "n", by: -12 }, form)).value).toEqual({ value: -11 });
        expect((await call("get", { key: "n" })).value).toEqual({ value: bytesOf("-11") });
      });

      test("base64 is a way to write bytes", async () => {
        await call("set", { key: "k", value: { base64: "AP+A" } }, form);
        expect((await call("get", { key: "k" }, "json")).value).toEqual({ value: { base64: "AP+A" } });
        expect((await call("get", { key: "k" })).value).toEqual({ value: new Uint8Array([0, 255, 128]) });
      });
    });

    test("a hundred increments at once are a hundred", async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, () => call("increment", { key: "n" })));
      const values = answers.map(({ value }) => (value as { value: number }).value);
      expect(values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
    });

    test("list gives the keys in the order of their UTF-8 bytes, by prefix", async () => {
      for (const key of ["b", "a/2", "a", "a/10", "a/\u{1f600}", "a/\ufb00", "a/é", "A", "ab"]) {
        await call("set", { key, value: "v" });
      }
      expect((await call("list", {})).value).toEqual({
        keys: ["A", "a", "a/10", "a/2", "a/é", "a/\ufb00", "a/\u{1f600}", "ab", "b"],
      });
      expect((await call("list", { prefix: "a/" }, "json")).value).toEqual({
        keys: ["a/10", "a/2", "a/é", "a/\ufb00", "a/\u{1f600}"],
      });
      expect((await call("list", { prefix: "c" })).value).toEqual({ keys: [] });
      expect((await call("list", { prefix: "", after: "a/\u{1f600}" })).value).toEqual({ keys: ["ab", "b"] });
      expect((await call("list", { prefix: "a/", after: "a/3" })).value).toMatchObject({
        keys: { length: 3 },
      });
      expect((await call("list", { prefix: "a/", after: "A" })).value).toMatchObject({ keys: { length: 5 } });
      expect((await call("list", { prefix: "a/", after: "b" })).value).toEqual({ keys: [] });
    });

    test("list turns pages: next is the after of the one that follows", async () => {
      const keys = Array.from({ length: 7 }, (_, index) => `k${index}`);
      for (const key of keys) await call("set", { key, value: "v" });
      expect((await call("list", { limit: 3 })).value).toEqual({ keys: keys.slice(0, 3), next: "k2" });
      expect((await call("list", { limit: 3, after: "k2" })).value).toEqual({
        keys: keys.slice(3, 6),
        next: "k5",
      });
      expect((await call("list", { limit: 3, after: "k5" })).value).toEqual({ keys: keys.slice(6) });
      expect((await call("list", { limit: 7 })).value).toEqual({ keys });
    });

    test("list gives 100 keys unless told, and ends a page before it is too large to send", async () => {
      const keys = Array.from(
        { length: 300 },
        (_, index) => `${String(index).padStart(3, "0")}${"\u0001".repeat(509)}`,
      );
      await Promise.all(keys.map((key) => call("set", { key, value: "" })));
      expect((await call("list", {})).value).toEqual({ keys: keys.slice(0, 100), next: keys[99] });
      const page = (await call("list", { limit: 1_000 })).value as { keys: string[]; next: string };
      expect(page).toEqual({ keys: keys.slice(0, 256), next: keys[255] });
    });

    test("P19, R14.5: scopes of different names do not see each other, those of one name or bucket do", async () => {
      const [a, a2, b] = [scopeOf("a", "1"), scopeOf("a", "2"), scopeOf("b", "3")];
      await call("set", { key: "k", value: "of a" }, "json", a);
      expect((await call("get", { key: "k" }, "json", a2)).value).toEqual({ value: "of a" });
      expect((await call("get", { key: "k" }, "json", b)).value).toEqual({ value: null });
      expect((await call("list", {}, "json", b)).value).toEqual({ keys: [] });
      expect((await call("get", { key: "k" }, "json", { ...a, lattice: "other" })).value).toEqual({
        value: null,
      });
      const [x, y] = [a, b].map((scope) => ({ ...scope, config: { bucket: "shared" } }));
      await call("set", { key: "k", value: "of both" }, "json", x);
      expect((await call("get", { key: "k" }, "json", y)).value).toEqual({ value: "of both" });
      expect((await call("get", { key: "k" }, "json", a)).value).toEqual({ value: "of a" });
    });

    test("what the caller does to its payload or its answer afterwards changes nothing", async () => {
      const payload = Buffer.from(encode({ key: "k", value: new Uint8Array([1, 2]) }, "msgpack"));
      await kv.call(scopeOf("a"), "set", payload);
      payload.fill(0);
      (await kv.call(scopeOf("a"), "get", encode({ key: "k" }, "msgpack"))).fill(0);
      expect((await call("get", { key: "k" })).value).toEqual({ value: new Uint8Array([1, 2]) });
    });

    test("keys and values may be as long as the limits say", async () => {
      const key = "é".repeat(kvLimits.keyBytesMax / 2);
      const value = new Uint8Array(kvLimits.valueBytesMax).fill(0xff);
      await call("set", { key, value });
      expect((await call("get", { key })).value).toEqual({ value });
      await expectRefusal(
        call("set", { key: "k", value: new Uint8Array(value.length + 1) }),
        "RESOURCE_EXHAUSTED",
        "valueBytesMax",
      );
      expect((await call("exists", { key: "k" })).value).toEqual({ exists: false });
    });

    test("a page larger than the limit is refused", async () => {
      await expectRefusal(call("list", { limit: 1_001 }), "RESOURCE_EXHAUSTED", "listKeysMax");
    });

    test.each<[string, string, object]>([
      ['no operation "drop"', "drop", {}],
      ['no operation "__proto__"', "__proto__", {}],
      ['get: "path" is not a field', "get", { key: "k", path: "x" }],
      ["the payload is an array", "get", ["k"]],
      ["get: key is not a string but nothing", "get", {}],
      ["get: key is not a string but a number", "get", { key: 1 }],
      ["get: key is not a string but bytes", "get", { key: new Uint8Array(1) }],
      ["exists: key is empty", "exists", { key: "" }],
      ["delete: key is longer than 512 bytes", "delete", { key: "é".repeat(257) }],
      ["set: key is longer than 512 bytes", "set", { key: "k".repeat(100_000), value: "" }],
      ["set: key has a NUL", "set", { key: "a\0b", value: "" }],
      ["set: value is nothing", "set", { key: "k" }],
      ["set: value is null", "set", { key: "k", value: null }],
      ["set: value is a number", "set", { key: "k", value: 1 }],
      ["set: value is an array", "set", { key: "k", value: [1] }],
      ["set: value is a map of something else", "set", { key: "k", value: { base64: "AA==", more: 1 } }],
      ["set: value.base64 is not base64", "set", { key: "k", value: { base64: "AA" } }],
      ["set: value.base64 is not base64", "set", { key: "k", value: { base64: "A-_=" } }],
      ["list: prefix is not a string", "list", { prefix: 1 }],
      ["list: after is empty", "list", { after: "" }],
      ["list: limit is not an integer", "list", { limit: 0 }],
      ["list: limit is not an integer", "list", { limit: 1.5 }],
      ["list: limit is not an integer", "list", { limit: "10" }],
      ["increment: by is not an integer", "increment", { key: "n", by: 0.5 }],
      ["increment: by is not an integer", "increment", { key: "n", by: 2 ** 53 }],
      ["increment: by is not an integer", "increment", { key: "n", by: "1" }],
      ["swap: revision is missing", "swap", { key: "k", value: "" }],
      ["swap: revision is no revision: a number", "swap", { key: "k", value: "", revision: 1 }],
      ['swap: revision is no revision: ""', "swap", { key: "k", value: "", revision: "" }],
      ["swap: revision is no revision", "swap", { key: "k", value: "", revision: "1".repeat(65) }],
      ["get-many: keys is not an array but nothing", "get-many", {}],
      ["get-many: keys[1] is empty", "get-many", { keys: ["k", ""] }],
      ["delete-many: keys[0] has a NUL", "delete-many", { keys: ["\0"] }],
      ["set-many: entries is not an array but a map", "set-many", { entries: { k: "v" } }],
      ["set-many: entries[0] is an array", "set-many", { entries: [["k", "v"]] }],
      ["set-many: entries[0] is null", "set-many", { entries: [null] }],
      ["set-many: entries[0].key is not a string", "set-many", { entries: [{ value: "" }] }],
      [
        'set-many: entries[0]."ttl" is not a field',
        "set-many",
        { entries: [{ key: "k", value: "", ttl: 1 }] },
      ],
      [
        "set-many: entries[1].value is nothing",
        "set-many",
        { entries: [{ key: "k", value: "" }, { key: "l" }] },
      ],
    ])("R13.5: %s", async (message, operation, fields) => {
      await expectRefusal(call(operation, fields), "INVALID_REQUEST", message);
    });

    test.each(["", "x", "1.5", "1e3", " 1", "+1", "01", "0x1", "1\n", "9".repeat(17), "-"])(
      "increment refuses the stored value %j and leaves it",
      async (value) => {
        await call("set", { key: "n", value });
        await expectRefusal(
          call("increment", { key: "n" }),
          "INVALID_REQUEST",
          'key "n" holds something else',
        );
        expect((await call("get", { key: "n" }, "json")).value).toEqual({ value });
      },
    );

    test("increment refuses a sum that a number does not hold exactly, and leaves the value", async () => {
      await call("set", { key: "n", value: String(Number.MAX_SAFE_INTEGER - 1) });
      expect((await call("increment", { key: "n" })).value).toEqual({ value: Number.MAX_SAFE_INTEGER });
      await expectRefusal(call("increment", { key: "n" }), "INVALID_REQUEST", "beyond ±9007199254740991");
      expect((await call("increment", { key: "n", by: -1 })).value).toEqual({
        value: Number.MAX_SAFE_INTEGER - 1,
      });
    });

    test.each(["a.b", "a/b", "*", "", "__proto__"])("a bucket called %j is refused", async (bucket) => {
      const scope = { ...scopeOf("a"), config: { bucket } };
      await expectRefusal(
        call("get", { key: "k" }, "json", scope),
        "INVALID_REQUEST",
        "bucket is not a legal id",
      );
    });

    test("a payload that is no message is refused", async () => {
      await expectRefusal(
        kv.call(scopeOf("a"), "get", Buffer.from("k")),
        "INVALID_REQUEST",
        "begins neither JSON",
      );
    });

    test("P20: once closed it refuses calls, and a second close does nothing", async () => {
      await kv.close();
      await kv.close();
      await expectRefusal(call("get", { key: "k" }), "PROVIDER_UNAVAILABLE", "closed");
      await expectRefusal(kv.check!(), "PROVIDER_UNAVAILABLE", "closed");
    });

    test("calls in progress settle before it is closed", async () => {
      const under = Array.from({ length: 20 }, () => call("increment", { key: "n" }));
      const closing = kv.close();
      const values = (await Promise.all(under)).map(({ value }) => (value as { value: number }).value);
      expect(values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
      await closing;
    });

    test("check passes while it is well", async () => {
      expect(await kv.check!()).toBeUndefined();
    });

    describeKvRevisions(call);
    describeKvBatches(call);
  });
}

/** A scope of the default lattice with its default bucket. */
export function scopeOf(name: string, instanceId = `${name}-1`): CapabilityScope {
  return capabilityScope({ lattice: "default", instanceId, name });
}

async function answerOf(kv: Capability, scope: CapabilityScope, operation: string, payload: Uint8Array) {
  return decode(await kv.call(scope, operation, payload));
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
