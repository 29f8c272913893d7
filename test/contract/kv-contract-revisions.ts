import { describe, expect, test } from "vitest";
import type { KvCall } from "./kv-contract.ts";

interface Read {
  value: string | null;
  revision: string | null;
}

/** What every kv backend must do with revisions and swaps. */
export function describeKvRevisions(call: KvCall): void {
  const json = async (operation: string, fields: object) => (await call(operation, fields, "json")).value;
  const read = async (key: string) => (await json("get-revision", { key })) as Read;

  describe("revisions", () => {
    test("get-revision gives the value with its revision, and nulls where nothing is", async () => {
      expect(await read("k")).toEqual({ value: null, revision: null });
      await json("set", { key: "k", value: "v" });
      const first = await read("k");
      expect(first).toEqual({ value: "v", revision: expect.stringMatching(/^.{1,64}$/) as string });
      expect(await read("k")).toEqual(first);
      expect((await call("get-revision", { key: "k" })).value).toEqual({
        value: new TextEncoder().encode("v"),
        revision: first.revision,
      });
    });

    test("every write makes a revision that was not there before, also after a delete", async () => {
      const revisions: (string | null)[] = [];
      for (let round = 0; round < 3; round += 1) {
        await json("set", { key: "k", value: "1" });
        revisions.push((await read("k")).revision);
        await json("set", { key: "k", value: "1" });
        revisions.push((await read("k")).revision);
        await json("increment", { key: "k", by: 0 });
        revisions.push((await read("k")).revision);
        await json("set-many", { entries: [{ key: "k", value: "1" }] });
        const { revision } = await read("k");
        revisions.push(revision);
        await json("swap", { key: "k", value: "1", revision });
        revisions.push((await read("k")).revision);
        await json("delete", { key: "k" });
      }
      expect(new Set(revisions).size).toBe(15);
      expect(revisions).not.toContain(null);
    });

    test("swap writes where the revision fits, and tells the new one", async () => {
      await json("set", { key: "k", value: "old" });
      const { revision } = await read("k");
      const answer = (await json("swap", { key: "k", value: "new", revision })) as { revision: string };
      expect(answer).toEqual({ swapped: true, revision: expect.any(String) as string });
      expect(answer.revision).not.toBe(revision);
      expect(await read("k")).toEqual({ value: "new", revision: answer.revision });
    });

    test("swap leaves what another write left, and tells it", async () => {
      await json("set", { key: "k", value: "old" });
      const { revision } = await read("k");
      await json("set", { key: "k", value: "other" });
      const present = await read("k");
      const fields = { key: "k", value: "new", revision };
      expect(await json("swap", fields)).toEqual({ swapped: false, ...present });
      expect((await call("swap", fields)).value).toEqual({
        swapped: false,
        value: new TextEncoder().encode("other"),
        revision: present.revision,
      });
      expect(await read("k")).toEqual(present);
    });

    test("swap with null writes only where there is no key, also after a delete", async () => {
      const fields = { key: "k", value: "new", revision: null };
      expect(await json("swap", fields)).toEqual({ swapped: true, revision: expect.any(String) as string });
      expect(await json("swap", fields)).toEqual({ swapped: false, ...(await read("k")) });
      await json("delete", { key: "k" });
      expect(await json("swap", fields)).toEqual({ swapped: true, revision: expect.any(String) as string });
    });

    test("swap of a key that is gone writes nothing", async () => {
      await json("set", { key: "k", value: "old" });
      const { revision } = await read("k");
      await json("delete", { key: "k" });
      expect(await json("swap", { key: "k", value: "new", revision })).toEqual({
        swapped: false,
        value: null,
        revision: null,
      });
      expect(await read("k")).toEqual({ value: null, revision: null });
    });

    test("swap does not take one revision for another: of another key, made up, or as large as it gets", async () => {
      await json("set", { key: "other", value: "v" });
      const { revision: foreign } = await read("other");
      await json("set", { key: "k", value: "old" });
      const present = await read("k");
      for (const revision of [foreign, "0", "-1", "x", "9".repeat(64), ` ${present.revision}`]) {
        const answer = await json("swap", { key: "k", value: "new", revision });
        expect(answer).toEqual({ swapped: false, ...present });
      }
    });

    test("of swaps at once that name one revision a single one writes", async () => {
      await json("set", { key: "k", value: "old" });
      const { revision } = await read("k");
      const answers = (await Promise.all(
        Array.from({ length: 20 }, (_, index) => json("swap", { key: "k", value: `by ${index}`, revision })),
      )) as { swapped: boolean; value?: string; revision: string }[];
      const winners = answers.flatMap(({ swapped }, index) => (swapped ? [index] : []));
      expect(winners).toHaveLength(1);
      const winner = answers[winners[0]!]!;
      const present = { value: `by ${winners[0]}`, revision: winner.revision };
      expect(await read("k")).toEqual(present);
      expect(answers.filter((answer) => !answer.swapped)).toEqual(
        Array.from({ length: 19 }, () => ({ swapped: false, ...present })),
      );
    });

    test("of deletes at once a single one says that there was something", async () => {
      await json("set", { key: "k", value: "v" });
      const answers = await Promise.all(Array.from({ length: 10 }, () => json("delete", { key: "k" })));
      expect(answers.filter((answer) => (answer as { deleted: boolean }).deleted)).toHaveLength(1);
    });
  });
}
