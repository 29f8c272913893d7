import { describe, expect, test } from "vitest";
import { Failure } from "../../src/protocol/errors.ts";
import { drained, watchedSource } from "../support/byte-sources.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { type BlobLab, bytes, numbered, smallLimits, streams } from "./blobstore-lab.ts";

/** How large bodies go in and out, and what room they take. */
export function describeBlobBodies({ call, container, put, get, list }: BlobLab): void {
  describe("bodies", () => {
    test("up to 64 KiB come in the answer, more as a stream, and ranges of that too", async () => {
      await container();
      const large = numbered(300_000);
      await put("small", large.subarray(0, 65_536));
      await put("large", large.subarray(0, 65_537));
      expect(await get("small")).toEqual({ size: 65_536, body: large.slice(0, 65_536) });
      const { size, stream, ...rest } = (await get("large")) as { size: number; stream: string };
      expect([size, rest]).toEqual([65_537, {}]);
      expect(Buffer.from(await drained(streams.open(stream), 10_000)).equals(large.subarray(0, 65_537))).toBe(
        true,
      );
      await put("larger", large);
      expect(await get("larger", { start: 150_000, end: 150_099 })).toEqual({
        size: 100,
        body: large.slice(150_000, 150_100),
      });
      const part = (await get("larger", { start: 130_000, end: 270_000 })) as {
        size: number;
        stream: string;
      };
      expect(part.size).toBe(140_001);
      const read = await drained(streams.open(part.stream), 262_144);
      expect(Buffer.from(read).equals(large.subarray(130_000, 270_001))).toBe(true);
    });

    test("a body may come as a stream, in pieces of any size, and is read at the store's pace", async () => {
      await container();
      const large = numbered(700_001);
      function* pieces() {
        for (let at = 0, size = 1; at < large.length; at += size, size = (size * 3) % 90_001) {
          yield large.subarray(at, Math.min(large.length, at + size));
        }
      }
      const source = watchedSource(pieces());
      expect(await call("put-object", { container: "c", name: "o", stream: streams.serve(source) })).toEqual(
        {},
      );
      expect(source.cancelledBecause).toBeUndefined();
      const { stream } = (await get("o")) as { stream: string };
      expect(Buffer.from(await drained(streams.open(stream))).equals(large)).toBe(true);
    });

    test("a reader that gives up costs nothing more, and one that begins later gets the whole", async () => {
      await container();
      const large = numbered(500_000);
      await put("o", large);
      const given = streams.open(((await get("o")) as { stream: string }).stream);
      await given.read(1_000);
      given.cancel("enough");
      expect(await given.read(1_000)).toBeUndefined();
      const { stream } = (await get("o")) as { stream: string };
      expect((await drained(streams.open(stream))).length).toBe(large.length);
    });

    test("all or nothing: a stream that breaks, or is too large, leaves the old object", async () => {
      await container();
      await put("o", "old");
      const broken = watchedSource(
        [numbered(400_000)],
        new Failure("COMMUNICATION_FAILURE", "the writer is gone"),
      );
      await expect(
        call("put-object", { container: "c", name: "o", stream: streams.serve(broken) }),
      ).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE", message: "the writer is gone" });
      expect(broken.cancelledBecause).toBe("the object was not taken");
      const piece = new Uint8Array(262_144);
      function* endless() {
        for (;;) yield piece;
      }
      const tooLarge = watchedSource(endless());
      await expectRefusal(
        call("put-object", { container: "c", name: "o", stream: streams.serve(tooLarge) }),
        "RESOURCE_EXHAUSTED",
        "objectBytesMax",
      );
      expect(tooLarge.cancelledBecause).toBe("the object was not taken");
      expect(tooLarge.bytesGiven).toBeLessThan(smallLimits.objectBytesMax + 1024 * 1024);
      const unwanted = watchedSource([bytes("x")]);
      await call("put-object", { container: "nowhere", name: "o", stream: streams.serve(unwanted) }).catch(
        () => {},
      );
      expect([unwanted.bytesGiven, unwanted.cancelledBecause]).toEqual([0, "the object was not taken"]);
      expect(await get("o")).toEqual({ size: 3, body: bytes("old") });
      expect(await list()).toEqual({ objects: ["o"] });
      await call("put-object", { container: "c", name: "o", stream: streams.serve(watchedSource([])) });
      expect(await get("o")).toEqual({ size: 0, body: new Uint8Array(0) });
    });

    test("of many that put one object at once, one is there as a whole", async () => {
      await container();
      const bodies = Array.from({ length: 8 }, (_, index) => new Uint8Array(200_000).fill(index + 1));
      await Promise.all(bodies.map((body) => put("o", body)));
      const { size, stream } = (await get("o")) as { size: number; stream: string };
      const read = await drained(streams.open(stream));
      expect([size, read.length]).toEqual([200_000, 200_000]);
      expect(new Set(read).size).toBe(1);
      expect(await list()).toEqual({ objects: ["o"] });
    });

    test("a move that meets a put of its original loses neither", async () => {
      await container();
      const contentOf = async (name: string) => {
        const found = (await get(name).catch(() => undefined)) as { body: Uint8Array } | undefined;
        return found === undefined ? "nothing" : new TextDecoder().decode(found.body);
      };
      const [from, to] = ["a", "b"].map((name) => ({ container: "c", name }));
      for (let round = 0; round < 20; round += 1) {
        await put("a", "old");
        await Promise.all([call("move-object", { from, to }), put("a", "new")]);
        expect(["a: new, b: old", "a: nothing, b: new"]).toContain(
          `a: ${await contentOf("a")}, b: ${await contentOf("b")}`,
        );
      }
    });

    test("what is replaced or deleted makes room: a container takes many times what it holds", async () => {
      await container();
      const body = numbered(2_200_000);
      for (let round = 0; round < 6; round += 1) await put("o", body);
      for (let round = 0; round < 4; round += 1) {
        await put("p", body);
        expect(await call("delete-objects", { container: "c", names: ["p"] })).toEqual({ deleted: 1 });
      }
      const broken = () => watchedSource([body], new Failure("COMMUNICATION_FAILURE", "gone"));
      for (let round = 0; round < 6; round += 1) {
        await call("put-object", { container: "c", name: "q", stream: streams.serve(broken()) }).catch(
          () => {},
        );
      }
      await put("q", body);
      await call("clear-container", { container: "c" });
      for (const name of ["q", "r", "s"]) await put(name, body);
      await expectRefusal(put("t", body), "RESOURCE_EXHAUSTED", "bytesPerContainerMax");
      expect(await list()).toEqual({ objects: ["q", "r", "s"] });
    });
  });
}
