import { describe, expect, test } from "vitest";
import type { Capability } from "../../src/capabilities/capability.ts";
import { blobLimits } from "../../src/limits.ts";
import { encode, type Form } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { describeBlobBodies } from "./blobstore-contract-bodies.ts";
import { blobLab, bytes, numbered, scopeOf, streams } from "./blobstore-lab.ts";
import { drained } from "../support/byte-sources.ts";

/** What every blob store must do. `create` makes one with `smallLimits`. */
export function describeBlobstoreContract(backend: string, create: () => Promise<Capability>): void {
  describe(`R5.4: blobs in ${backend}`, () => {
    const lab = blobLab(create);
    const { call, container, put, get, list } = lab;
    describeBlobBodies(lab);

    test("a container is there from its making to its end, and both can be repeated", async () => {
      await container();
      const c = { container: "photos/2024 é" };
      expect(await call("container-exists", c)).toEqual({ exists: false });
      await expectRefusal(call("container-info", c), "INVALID_REQUEST", "there is no container");
      const before = Date.now();
      expect(await call("create-container", c)).toEqual({});
      expect(await call("container-exists", c)).toEqual({ exists: true });
      const info = (await call("container-info", c)) as { name: string; createdAt: string };
      expect(info).toEqual({ name: c.container, createdAt: new Date(info.createdAt).toISOString() });
      expect(Math.abs(Date.parse(info.createdAt) - before)).toBeLessThan(5_000);
      await call("put-object", { ...c, name: "o", body: "1" });
      expect(await call("create-container", c)).toEqual({});
      expect(await call("list-objects", c)).toEqual({ objects: ["o"] });
      expect(await call("delete-container", c)).toEqual({});
      expect(await call("delete-container", c)).toEqual({});
      expect(await call("container-exists", c)).toEqual({ exists: false });
      await call("create-container", c);
      expect(await call("list-objects", c)).toEqual({ objects: [] });
    });

    test.each<Form>(["json", "msgpack"])("what was put is got, in %s", async (form) => {
      await container();
      const shown = (body: Uint8Array, text: string) => (form === "json" ? text : body);
      await call("put-object", { container: "c", name: "o", body: "Grüße" }, form);
      expect(await call("get-object", { container: "c", name: "o" }, form)).toEqual({
        size: 7,
        body: shown(bytes("Grüße"), "Grüße"),
      });
      await call("put-object", { container: "c", name: "o", body: { base64: "AP+A" } }, form);
      const held = new Uint8Array([0, 255, 128]);
      expect(await call("get-object", { container: "c", name: "o" }, form)).toEqual({
        size: 3,
        body: form === "json" ? { base64: "AP+A" } : held,
      });
      await call("put-object", { container: "c", name: "o", body: "" }, form);
      expect(await call("get-object", { container: "c", name: "o" }, form)).toEqual({
        size: 0,
        body: shown(bytes(""), ""),
      });
    });

    test("object-info tells size and time, object-exists whether", async () => {
      await container();
      expect(await call("object-exists", { container: "c", name: "o" })).toEqual({ exists: false });
      await put("o", "12345");
      expect(await call("object-exists", { container: "c", name: "o" })).toEqual({ exists: true });
      const info = (await call("object-info", { container: "c", name: "o" })) as { createdAt: string };
      expect(info).toEqual({
        name: "o",
        container: "c",
        size: 5,
        createdAt: new Date(info.createdAt).toISOString(),
      });
    });

    test("what is not there is INVALID_REQUEST that says what is missing", async () => {
      await container();
      const missing = async (operation: string, fields: object) =>
        call(operation, fields).then(
          () => "nothing",
          (error: Failure) => `${error.code} ${String(error.details?.["missing"])}`,
        );
      const nowhere = { container: "nowhere", name: "o" };
      const absent = { container: "c", name: "o" };
      await put("there", "1");
      expect(await missing("get-object", absent)).toBe("INVALID_REQUEST object");
      expect(await missing("get-object", nowhere)).toBe("INVALID_REQUEST object");
      expect(await missing("object-info", absent)).toBe("INVALID_REQUEST object");
      expect(await missing("list-objects", { container: "nowhere" })).toBe("INVALID_REQUEST container");
      expect(await missing("clear-container", { container: "nowhere" })).toBe("INVALID_REQUEST container");
      expect(await missing("put-object", { ...nowhere, body: "" })).toBe("INVALID_REQUEST container");
      expect(await missing("copy-object", { from: absent, to: { container: "c", name: "x" } })).toBe(
        "INVALID_REQUEST object",
      );
      expect(await missing("copy-object", { from: { container: "c", name: "there" }, to: nowhere })).toBe(
        "INVALID_REQUEST container",
      );
      expect(await call("object-exists", nowhere)).toEqual({ exists: false });
      expect(await call("delete-objects", { container: "nowhere", names: ["o"] })).toEqual({ deleted: 0 });
    });

    test("a range has both of its ends, as wasi:blobstore has it, and is cut at the end of the object", async () => {
      await container();
      await put("o", "0123456789");
      const body = async (range: object) => {
        const reply = (await get("o", range)) as { size: number; body: Uint8Array };
        expect(reply.body.length).toBe(reply.size);
        return new TextDecoder().decode(reply.body);
      };
      expect(await body({ start: 2, end: 4 })).toBe("234");
      expect(await body({ start: 9, end: 9 })).toBe("9");
      expect(await body({ start: 7 })).toBe("789");
      expect(await body({ end: 0 })).toBe("0");
      expect(await body({ start: 8, end: Number.MAX_SAFE_INTEGER })).toBe("89");
      expect(await body({ start: 10 })).toBe("");
      expect(await body({ start: 1_000, end: 2_000 })).toBe("");
      await expectRefusal(get("o", { start: 4, end: 3 }), "INVALID_REQUEST", "end is before start");
      await expectRefusal(get("o", { start: -1 }), "INVALID_REQUEST", "start is not an offset");
      await expectRefusal(get("o", { start: 0.5 }), "INVALID_REQUEST", "start is not an offset");
    });

    test("a copy is one of its own; it replaces what is there", async () => {
      await container();
      await call("create-container", { container: "d" });
      const body = numbered(300_000);
      await put("from", body);
      await call("put-object", { container: "d", name: "to", body: "old" });
      const [from, to] = [
        { container: "c", name: "from" },
        { container: "d", name: "to" },
      ];
      expect(await call("copy-object", { from, to })).toEqual({});
      await put("from", "changed");
      const copied = (await call("get-object", to)) as { size: number; stream: string };
      expect(Buffer.from(await drained(streams.open(copied.stream))).equals(body)).toBe(true);
      expect(await call("copy-object", { from, to: from })).toEqual({});
      expect(await get("from")).toEqual({ size: 7, body: bytes("changed") });
    });

    test("a move leaves nothing behind, and onto itself changes nothing", async () => {
      await container();
      await put("a", "1");
      const [a, b] = [
        { container: "c", name: "a" },
        { container: "c", name: "b" },
      ];
      expect(await call("move-object", { from: a, to: b })).toEqual({});
      expect(await list()).toEqual({ objects: ["b"] });
      expect(await call("move-object", { from: b, to: b })).toEqual({});
      expect(await get("b")).toEqual({ size: 1, body: bytes("1") });
      await expect(call("move-object", { from: a, to: b })).rejects.toMatchObject({
        details: { missing: "object" },
      });
      await expect(
        call("move-object", { from: b, to: { container: "nowhere", name: "x" } }),
      ).rejects.toMatchObject({ details: { missing: "container" } });
      expect(await list()).toEqual({ objects: ["b"] });
    });

    test("delete-objects says how many there were, and clear leaves the container", async () => {
      await container();
      for (const name of ["a", "b", "c"]) await put(name, name);
      expect(await call("delete-objects", { container: "c", names: ["a", "x", "a", "b"] })).toEqual({
        deleted: 2,
      });
      expect(await call("delete-objects", { container: "c", names: [] })).toEqual({ deleted: 0 });
      expect(await list()).toEqual({ objects: ["c"] });
      expect(await call("clear-container", { container: "c" })).toEqual({});
      expect(await call("clear-container", { container: "c" })).toEqual({});
      expect(await list()).toEqual({ objects: [] });
      expect(await call("container-exists", { container: "c" })).toEqual({ exists: true });
    });

    test("names are listed in the order of their UTF-8 bytes, a page at a time", async () => {
      await container();
      const names = ["A", "a", "a/10", "a/2", "a/é", "a/\ufb00", "a/\u{1f600}", "b b", "~*>."];
      for (const name of names.toReversed()) await put(name, "");
      expect(await list()).toEqual({ objects: names });
      expect(await list({ limit: 4 })).toEqual({ objects: names.slice(0, 4), next: "a/2" });
      expect(await list({ limit: 4, after: "a/2" })).toEqual({ objects: names.slice(4, 8), next: "b b" });
      expect(await list({ limit: 4, after: "b b" })).toEqual({ objects: names.slice(8) });
      expect(await list({ after: "a/3" })).toEqual({ objects: names.slice(4) });
      expect(await list({ after: "~~" })).toEqual({ objects: [] });
      await expectRefusal(list({ limit: 1_001 }), "RESOURCE_EXHAUSTED", "listObjectsMax");
    });

    test("P19, R14.5: scopes of different names do not see each other, those of one name or bucket do", async () => {
      await container("shared");
      const name = lab.guestName;
      const o = { container: "shared", name: "o" };
      await call("put-object", { ...o, body: "mine" });
      const other = scopeOf(`${name}x`);
      expect(await call("container-exists", { container: "shared" }, "msgpack", other)).toEqual({
        exists: false,
      });
      await expect(call("get-object", o, "msgpack", other)).rejects.toMatchObject({
        code: "INVALID_REQUEST",
      });
      const elsewhere = { ...scopeOf(name), lattice: "other" };
      expect(await call("object-exists", o, "msgpack", elsewhere)).toEqual({ exists: false });
      const same = scopeOf("another", { bucket: name });
      expect(await call("get-object", o, "msgpack", same)).toEqual({ size: 4, body: bytes("mine") });
      await expect(call("get-object", o, "msgpack", scopeOf("x", { bucket: "a.b" }))).rejects.toMatchObject({
        code: "INVALID_REQUEST",
      });
    });

    test("names may be as long as the limits say", async () => {
      const longest = "é".repeat(blobLimits.containerNameBytesMax / 2);
      await container(longest);
      const name = "\u{1f600}".repeat(blobLimits.objectNameBytesMax / 4);
      const o = { container: longest, name };
      await call("put-object", { ...o, body: "1" });
      expect(await call("get-object", o)).toEqual({ size: 1, body: bytes("1") });
      expect(await call("list-objects", { container: longest })).toEqual({ objects: [name] });
      await expectRefusal(
        call("object-exists", { ...o, name: `${name}x` }),
        "INVALID_REQUEST",
        "longer than 1024",
      );
      await expectRefusal(
        call("create-container", { container: `${longest}x` }),
        "INVALID_REQUEST",
        "longer than 64",
      );
    });

    test("containersPerBucketMax holds for each bucket", async () => {
      await container("c1");
      for (const name of ["c2", "c3", "c4", "c4"]) await call("create-container", { container: name });
      await expectRefusal(
        call("create-container", { container: "c5" }),
        "RESOURCE_EXHAUSTED",
        "containersPerBucketMax, 4",
      );
      await call("delete-container", { container: "c1" });
      await call("create-container", { container: "c5" });
    });

    test.each<[string, string, object]>([
      ['no operation "drop"', "drop", {}],
      ['no operation "__proto__"', "__proto__", {}],
      ['"path" is not a field', "get-object", { container: "c", name: "o", path: "x" }],
      ["the payload is not a map but an array", "get-object", ["o"]],
      ["container is not a string but nothing", "create-container", {}],
      ["container is empty", "create-container", { container: "" }],
      ["name has a NUL", "object-info", { container: "c", name: "a\0b" }],
      ["from is not a map but nothing", "copy-object", {}],
      ["from.name is not a string", "copy-object", { from: { container: "c" }, to: {} }],
      ["names is not an array but", "delete-objects", { container: "c", names: "o" }],
      ["names[1] is not a string", "delete-objects", { container: "c", names: ["o", 1] }],
      ["limit is not an integer", "list-objects", { container: "c", limit: 0 }],
      ["body is missing, and so is stream", "put-object", { container: "c", name: "o" }],
      [
        "body is there, and so is stream",
        "put-object",
        { container: "c", name: "o", body: "", stream: "a.b" },
      ],
      ["body.base64 is not base64", "put-object", { container: "c", name: "o", body: { base64: "%" } }],
      ["stream is not a string", "put-object", { container: "c", name: "o", stream: 1 }],
    ])("P18: %s", async (message, operation, fields) => {
      await expectRefusal(call(operation, fields), "INVALID_REQUEST", message);
    });

    test("P20: once closed every call is refused, and a body on its way is given up", async () => {
      const one = await create();
      const scope = scopeOf("closing");
      await one.call(scope, "create-container", encode({ container: "c" }, "msgpack"));
      let giveUp: (error: Failure) => void = () => undefined;
      const reading = new Promise<never>((_, reject) => (giveUp = reject));
      let begun: () => void = () => undefined;
      const isRead = new Promise<void>((resolve) => (begun = resolve));
      const slow = {
        read() {
          begun();
          return reading;
        },
        cancel: (reason: string) => giveUp(new Failure("COMMUNICATION_FAILURE", reason)),
      };
      const fields = { container: "c", name: "o", stream: streams.serve(slow) };
      const putting = one
        .call(scope, "put-object", encode(fields, "msgpack"))
        .catch((error: Failure) => error.message);
      await isRead;
      await Promise.all([one.close(), one.close()]);
      expect(await putting).toBe("the blob store is closed");
      await expectRefusal(
        one.call(scope, "container-exists", encode({ container: "c" }, "msgpack")),
        "PROVIDER_UNAVAILABLE",
        "closed",
      );
    });
  });
}
