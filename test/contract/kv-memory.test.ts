import { describe, expect, test } from "vitest";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import { kvLimits } from "../../src/limits.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { describeKvContract, scopeOf } from "./kv-contract.ts";

describeKvContract("memory", async () => createMemoryKv());

describe("R10.2: the limits of a kv in memory", () => {
  test("keysPerBucketMax holds for each bucket; existing keys can still be replaced", async () => {
    const { call, set } = limited({ keysPerBucketMax: 2 });
    await set("a", "1", "v");
    await set("a", "2", "v");
    await expectRefusal(set("a", "3", "v"), "RESOURCE_EXHAUSTED", "keysPerBucketMax, 2");
    await expectRefusal(call("a", "increment", { key: "3" }), "RESOURCE_EXHAUSTED", "keysPerBucketMax, 2");
    await set("a", "2", "w");
    await set("b", "3", "v");
    await call("a", "delete", { key: "1" });
    await set("a", "3", "v");
    expect(await call("a", "list", {})).toEqual({ keys: ["2", "3"] });
  });

  test("bytesPerBucketMax counts keys and values; what shrinks is let in", async () => {
    const { call, set } = limited({ bytesPerBucketMax: 20 });
    await set("a", "é", "12345678");
    await set("a", "kk", "12345678");
    await expectRefusal(set("a", "x", ""), "RESOURCE_EXHAUSTED", "bytesPerBucketMax, 20");
    await expectRefusal(set("a", "kk", "123456789"), "RESOURCE_EXHAUSTED", "bytesPerBucketMax, 20");
    await set("a", "kk", "1234567");
    await set("a", "x", "");
    await call("a", "delete", { key: "é" });
    await set("a", "long", "123456");
    await expectRefusal(set("a", "long", "1234567"), "RESOURCE_EXHAUSTED", "bytesPerBucketMax, 20");
  });

  test("bucketsMax counts buckets that have a key", async () => {
    const { call, set } = limited({ bucketsMax: 1 });
    await call("b", "get", { key: "k" });
    await set("a", "k", "v");
    await expectRefusal(set("b", "k", "v"), "RESOURCE_EXHAUSTED", "bucketsMax, 1");
    await call("a", "delete", { key: "k" });
    await set("b", "k", "v");
  });

  test("bytesMax counts all buckets with their overhead", async () => {
    const { call, set } = limited({ bytesMax: 30, entryOverheadBytes: 10 });
    await set("a", "k", "1234");
    await set("b", "k", "1234");
    await expectRefusal(set("c", "k", ""), "RESOURCE_EXHAUSTED", "bytesMax, 30");
    await expectRefusal(set("b", "k", "12345"), "RESOURCE_EXHAUSTED", "bytesMax, 30");
    await set("b", "k", "1");
    await set("b", "k", "1234");
    await call("a", "delete", { key: "k" });
    await set("c", "k", "1234");
  });

  test("a refusal says which limit, what to do, and whether a retry helps", async () => {
    const { set } = limited({ valueBytesMax: 1 });
    await expect(set("a", "k", "12")).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      details: { limit: "valueBytesMax", max: 1 },
      fix: "Split the value over several keys.",
      retry: "never",
    });
  });
});

function limited(limits: Partial<Record<keyof typeof kvLimits, number>>) {
  const kv = createMemoryKv({ limits: { ...kvLimits, ...limits } });
  const call = async (name: string, operation: string, fields: object) =>
    decode(await kv.call(scopeOf(name), operation, encode(fields, "json"))).value;
  return { call, set: (name: string, key: string, value: string) => call(name, "set", { key, value }) };
}
