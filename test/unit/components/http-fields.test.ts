import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { componentHttpLimits } from "../../../src/limits.ts";
import { Fields } from "../../../src/wasm/components/world/http-fields.ts";
import { createHttpWorld } from "../../../src/wasm/components/world/http-world.ts";
import { bytesOf, textOf, thrownBy } from "../../support/guest-host.ts";
import { httpHost, typesOf } from "../../support/http-guest.ts";

const { Fields: GuestFields } = typesOf(createHttpWorld(httpHost().host));

function fields(...entries: [string, string][]): Fields {
  return GuestFields.fromList(entries.map(([name, value]) => [name, bytesOf(value)]));
}

function shown(list: Fields): [string, string][] {
  return list.entries().map(([name, value]) => [name, textOf(value)]);
}

describe("fields", () => {
  test("keep their names as written and find them in any case", () => {
    const list = fields(["X-One", "1"], ["x-one", "2"], ["Two", "3"]);
    expect(list.get("x-ONE").map(textOf)).toEqual(["1", "2"]);
    expect([list.has("two"), list.has("three"), list.get("three")]).toEqual([true, false, []]);
    list.set("X-ONE", [bytesOf("4")]);
    list.append("two", bytesOf("5"));
    expect(shown(list)).toEqual([
      ["Two", "3"],
      ["X-ONE", "4"],
      ["two", "5"],
    ]);
    list.delete("two");
    expect(shown(list)).toEqual([["X-ONE", "4"]]);
  });

  test("are copied by clone, and by what takes them", () => {
    const list = fields(["a", "1"]);
    const copy = list.clone();
    copy.append("b", bytesOf("2"));
    expect([shown(list), shown(copy)]).toEqual([
      [["a", "1"]],
      [
        ["a", "1"],
        ["b", "2"],
      ],
    ]);
  });

  test("keep what they were given when the guest writes over its memory", () => {
    const value = bytesOf("1");
    const list = new GuestFields();
    list.append("a", value);
    value[0] = 0x0a;
    expect(shown(list)).toEqual([["a", "1"]]);
  });

  test.each([
    ["a name with a line end", "a\r\nb", "1", "invalid-syntax"],
    ["a name with a colon", "a:", "1", "invalid-syntax"],
    ["an empty name", "", "1", "invalid-syntax"],
    ["a name beyond ASCII", "ä", "1", "invalid-syntax"],
    ["a name that is too long", "a".repeat(componentHttpLimits.fieldNameBytesMax + 1), "1", "invalid-syntax"],
    ["a value with CR LF and a field behind it", "a", "1\r\nSet-Cookie: x", "invalid-syntax"],
    ["a value with LF", "a", "1\n2", "invalid-syntax"],
    ["a value with NUL", "a", "1\0", "invalid-syntax"],
    ["a host", "Host", "elsewhere", "forbidden"],
    ["a connection", "connection", "close", "forbidden"],
    ["a transfer coding", "Transfer-Encoding", "chunked", "forbidden"],
    ["an upgrade", "upgrade", "h2c", "forbidden"],
    ["an expectation", "Expect", "100-continue", "forbidden"],
    ["a way through a proxy", "Proxy-Authorization", "x", "forbidden"],
  ])("refuse %s (P3)", async (_what, name, value, tag) => {
    const list = new GuestFields();
    expect(await thrownBy(() => list.append(name, bytesOf(value)))).toEqual({ tag });
    expect(await thrownBy(() => list.set(name, [bytesOf(value)]))).toEqual({ tag });
    expect(await thrownBy(() => GuestFields.fromList([[name, bytesOf(value)]]))).toEqual({ tag });
    expect(list.entries()).toEqual([]);
  });

  test("take 1,000 usual headers and refuse more than a message may have", async () => {
    const list = new GuestFields();
    for (let index = 0; index < 1_000; index += 1) list.append(`x-header-${index}`, bytesOf("value"));
    expect(list.entries()).toHaveLength(1_000);
    const large = bytesOf("x".repeat(componentHttpLimits.fieldsBytesMax / 2));
    expect(await thrownBy(() => list.append("large", large))).toEqual({ tag: "forbidden" });
    expect(await thrownBy(() => list.set("large", [large, large]))).toEqual({ tag: "forbidden" });
    const many = Array.from({ length: 90_000 }, (): [string, Uint8Array] => ["a", bytesOf("")]);
    expect(await thrownBy(() => GuestFields.fromList(many))).toEqual({ tag: "forbidden" });
    expect(list.entries()).toHaveLength(1_000);
  });

  test("are counted against what a guest may hold until they are dropped or handed over", () => {
    const { host } = httpHost();
    const { Fields: Counted } = typesOf(createHttpWorld(host));
    for (let turn = 0; turn < 5_000; turn += 1) new Counted()[Symbol.dispose]();
    for (let turn = 0; turn < 5_000; turn += 1) Fields.take(new Counted());
    expect(() => {
      for (let turn = 0; turn < 5_000; turn += 1) new Counted();
    }).toThrow("which is the most it may");
  });

  test("never let a guest's bytes begin a line of their own, whatever they are", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.uint8Array({ maxLength: 64 }), (name, value) => {
        const list = new GuestFields();
        try {
          list.append(name, value);
        } catch (error) {
          expect(error).toEqual({ tag: expect.stringMatching(/^(invalid-syntax|forbidden)$/) });
          return;
        }
        const line = `${name}: ${Buffer.from(value).toString("latin1")}`;
        expect(line).not.toMatch(/[\r\n\0]/);
      }),
      { numRuns: 200 },
    );
  });
});
