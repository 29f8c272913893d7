import { describe, expect, test } from "vitest";
import { kvLimits } from "../../src/limits.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import type { KvCall } from "./kv-contract.ts";

/** What every kv backend must do with many keys at once. */
export function describeKvBatches(call: KvCall): void {
  const json = async (operation: string, fields: object) => (await call(operation, fields, "json")).value;
  const entries = (keys: readonly string[], value = "v") => keys.map((key) => ({ key, value }));

  describe("many keys at once", () => {
    test("set-many stores what get-many gives, in the order of its request, null where nothing is", async () => {
      expect(
        await json("set-many", {
          entries: [
            { key: "a", value: "1" },
            { key: "b", value: { base64: "AP+A" } },
            { key: "c/é", value: "" },
          ],
        }),
      ).toEqual({});
      expect(await json("get-many", { keys: ["c/é", "none", "a", "b", "a"] })).toEqual({
        values: [
          { key: "c/é", value: "" },
          { key: "none", value: null },
          { key: "a", value: "1" },
          { key: "b", value: { base64: "AP+A" } },
          { key: "a", value: "1" },
        ],
      });
      expect((await call("get-many", { keys: ["b", "none"] })).value).toEqual({
        values: [
          { key: "b", value: new Uint8Array([0, 255, 128]) },
          { key: "none", value: null },
        ],
      });
    });

    test("of a key that comes twice in a set-many the last value counts", async () => {
      await json("set-many", { entries: [...entries(["k", "l"], "first"), ...entries(["k"], "last")] });
      expect(await json("get", { key: "k" })).toEqual({ value: "last" });
    });

    test("delete-many says how many there were, each counted once", async () => {
      await json("set-many", { entries: entries(["a", "b", "c"]) });
      expect(await json("delete-many", { keys: ["a", "none", "b", "a"] })).toEqual({ deleted: 2 });
      expect(await json("list", {})).toEqual({ keys: ["c"] });
    });

    test("none at all is as good", async () => {
      expect(await json("get-many", { keys: [] })).toEqual({ values: [] });
      expect(await json("set-many", { entries: [] })).toEqual({});
      expect(await json("delete-many", { keys: [] })).toEqual({ deleted: 0 });
    });

    test("as many keys as the limit says, and not one more", async () => {
      const keys = Array.from({ length: kvLimits.batchKeysMax }, (_, index) => `k${1_000_000 + index}`);
      await json("set-many", { entries: entries(keys) });
      expect(await json("get-many", { keys })).toEqual({ values: entries(keys) });
      expect(await json("delete-many", { keys })).toEqual({ deleted: keys.length });
      const more = [...keys, "more"];
      await expectRefusal(json("set-many", { entries: entries(more) }), "RESOURCE_EXHAUSTED", "batchKeysMax");
      await expectRefusal(json("get-many", { keys: more }), "RESOURCE_EXHAUSTED", "batchKeysMax");
      await expectRefusal(json("delete-many", { keys: more }), "RESOURCE_EXHAUSTED", "batchKeysMax");
      expect(await json("list", {})).toEqual({ keys: [] });
    });

    test("as many bytes as the limit says, and not one more, written or read", async () => {
      const half = new Uint8Array(kvLimits.batchBytesMax / 2 - 1).fill(0xfe);
      const two = [
        { key: "a", value: half },
        { key: "b", value: half },
      ];
      await call("set-many", { entries: two });
      expect((await call("get-many", { keys: ["a", "b"] })).value).toEqual({ values: two });
      await expectRefusal(
        call("set-many", { entries: [...two, { key: "c", value: "" }] }),
        "RESOURCE_EXHAUSTED",
        "batchBytesMax",
      );
      expect(await json("exists", { key: "c" })).toEqual({ exists: false });
      await expectRefusal(call("get-many", { keys: ["a", "b", "c"] }), "RESOURCE_EXHAUSTED", "batchBytesMax");
    });

    test("a value that is too large is refused before anything is written", async () => {
      const value = new Uint8Array(kvLimits.valueBytesMax + 1);
      const batch = [...entries(["a"]), { key: "b", value }];
      await expectRefusal(call("set-many", { entries: batch }), "RESOURCE_EXHAUSTED", "valueBytesMax");
      await expectRefusal(
        call("swap", { key: "b", value, revision: null }),
        "RESOURCE_EXHAUSTED",
        "valueBytesMax",
      );
      expect(await json("list", {})).toEqual({ keys: [] });
    });
  });
}
