import { beforeAll, describe, expect, test } from "vitest";
import type { Capability } from "../../../src/capabilities/capability.ts";
import { createMemoryKv } from "../../../src/capabilities/kv/memory.ts";
import type { ComponentCode } from "../../../src/wasm/components/admit-component.ts";
import { keyvalueInterfaces } from "../../../src/wasm/components/world/keyvalue.ts";
import type { WitFunction } from "../../../src/wasm/components/wit-type.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { bytesOf, thrownBy } from "../../support/guest-host.ts";
import { admitted, callComponent, hostOfLife, lifeOf, providedHost } from "../../support/component-host.ts";

interface Draft {
  readonly cursor: string;
  readonly number: string;
  readonly many: string;
  readonly atomics: string;
}

/** The interfaces as the drafts have them; https://github.com/WebAssembly/wasi-keyvalue. */
const wit = (version: string, { cursor, number, many, atomics }: Draft) => `package test:guest;
world guest {
  import wasi:keyvalue/store@${version};
  import wasi:keyvalue/atomics@${version};
  import wasi:keyvalue/batch@${version};
  export steps: func(identifier: string) -> result<list<string>, string>;
}
package wasi:keyvalue@${version} {
  interface store {
    variant error { no-such-store, access-denied, other(string) }
    record key-response { keys: list<string>, cursor: option<${cursor}> }
    open: func(identifier: string) -> result<bucket, error>;
    resource bucket {
      get: func(key: string) -> result<option<list<u8>>, error>;
      set: func(key: string, value: list<u8>) -> result<_, error>;
      delete: func(key: string) -> result<_, error>;
      exists: func(key: string) -> result<bool, error>;
      list-keys: func(cursor: option<${cursor}>) -> result<key-response, error>;
    }
  }
  interface atomics {
    use store.{bucket, error};
    increment: func(bucket: borrow<bucket>, key: string, delta: ${number}) -> result<${number}, error>;
    ${atomics}
  }
  interface batch {
    use store.{bucket, error};
    get-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<list<${many}>, error>;
    set-many: func(bucket: borrow<bucket>, key-values: list<tuple<string, list<u8>>>) -> result<_, error>;
    delete-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<_, error>;
  }
}`;

const cas = (conflict: string) => `
    variant cas-error { store-error(error), cas-failed(${conflict}) }
    resource cas {
      new: static func(bucket: borrow<bucket>, key: string) -> result<cas, error>;
      current: func() -> result<option<list<u8>>, error>;
    }
    swap: func(cas: cas, value: list<u8>) -> result<_, cas-error>;`;

const option = "option<tuple<string, list<u8>>>";
const drafts = {
  "0.2.0-draft": { cursor: "u64", number: "u64", many: option, atomics: "" },
  "0.2.0-draft2": { cursor: "string", number: "s64", many: option, atomics: cas("cas") },
  "0.2.0-draft2 of today": {
    cursor: "string",
    number: "s64",
    many: "tuple<string, option<list<u8>>>",
    atomics: cas("tuple<cas, option<list<u8>>>"),
  },
} satisfies Record<string, Draft>;

/** Everything the interfaces can do, one line each. */
const source = (version: string) => `
import store from "wasi:keyvalue/store@${version}";
import atomics from "wasi:keyvalue/atomics@${version}";
import batch from "wasi:keyvalue/batch@${version}";
const bytes = (text) => new Uint8Array([...text].map((c) => c.charCodeAt(0)));
const text = (value) => (value == null ? "none" : String.fromCharCode(...value));
const told = (error) => JSON.stringify(error.payload ?? error);
export function steps(identifier) {
  const lines = [];
  let bucket;
  try { bucket = store.open(identifier); } catch (error) { return [told(error)]; }
  const step = (name, run) => {
    try { lines.push(name + " " + run()); } catch (error) { lines.push(name + " failed " + told(error)); }
  };
  step("get", () => text(bucket.get("a")));
  step("set", () => bucket.set("a", bytes("one")));
  step("get", () => text(bucket.get("a")));
  step("exists", () => bucket.exists("a") + " " + bucket.exists("b"));
  step("delete", () => bucket.delete("a"));
  step("delete", () => bucket.delete("a"));
  step("increment", () => atomics.increment(bucket, "n", 5) + " " + atomics.increment(bucket, "n", 2));
  step("set-many", () => batch.setMany(bucket, [["x", bytes("1")], ["y", bytes("2")]]));
  step("get-many", () => batch.getMany(bucket, ["y", "z", "x"])
    .map((pair) => (pair == null ? "nothing" : pair[0] + "=" + text(pair[1]))).join());
  step("list", () => {
    const page = bucket.listKeys(null);
    return page.keys.join() + " " + (page.cursor ?? "the end");
  });
  step("delete-many", () => batch.deleteMany(bucket, ["x", "y", "z"]));
  step("empty key", () => bucket.get(""));
  if (atomics.Cas !== undefined) {
    step("swap", () => {
      const handle = atomics.Cas.new(bucket, "c");
      const before = text(handle.current());
      atomics.swap(handle, bytes("first"));
      return before + " " + text(bucket.get("c"));
    });
    step("conflict", () => {
      const handle = atomics.Cas.new(bucket, "c");
      bucket.set("c", bytes("other"));
      try { atomics.swap(handle, bytes("lost")); return "no conflict"; } catch (error) {
        const { tag, val } = error.payload ?? error;
        const again = Array.isArray(val) ? val[0] : val;
        const known = Array.isArray(val) ? text(val[1]) : "unknown";
        atomics.swap(again, bytes("won"));
        return tag + " " + known + " " + text(bucket.get("c"));
      }
    });
  }
  return lines;
}`;

const common = [
  "get none",
  "set undefined",
  "get one",
  "exists true false",
  "delete undefined",
  "delete undefined",
  "increment 5 7",
  "set-many undefined",
];
const listed = ["list n,x,y the end", "delete-many undefined"];
const emptyKey = 'empty key failed {"tag":"other","val":"INVALID_REQUEST: kv get: key is empty"}';

describe.each(Object.entries(drafts))("wasi:keyvalue %s", (name, draft) => {
  const version = name.split(" ")[0] as string;
  let code: ComponentCode;
  beforeAll(async () => {
    code = await admitted(source(version), wit(version, draft));
  });

  test("R5.1 P10: a component does all of it on a kv provider", async () => {
    const guest = lifeOf(code, providedHost({ kv: createMemoryKv() }));
    const missing = draft.many === option ? "nothing" : "z=none";
    const lines = [...common, `get-many y=2,${missing},x=1`, ...listed, emptyKey];
    if (draft.atomics !== "") {
      lines.push(
        "swap none first",
        `conflict cas-failed ${draft.atomics.includes("tuple") ? "other" : "unknown"} won`,
      );
    }
    expect(await callComponent(guest, "steps", "default")).toEqual(lines);
  });

  test("R2.5 P3: without a grant its own error tells it so", async () => {
    const guest = lifeOf(code, providedHost({}));
    expect(await callComponent(guest, "steps", "default")).toEqual(['{"tag":"access-denied"}']);
  });
});

describe("pages of keys", () => {
  const keys = Array.from({ length: 2_500 }, (_, index) => `k${String(index).padStart(5, "0")}`);
  const provider = createMemoryKv();
  let lists = 0;
  const kv: Capability = {
    ...provider,
    call(scope, operation, payload) {
      if (operation === "list") lists += 1;
      return provider.call(scope, operation, payload);
    },
  };
  const host = () => hostOfLife({ kv });
  const cursorOf = (kind: "u64" | "string") => {
    const listKeys: WitFunction = {
      parameters: [{ name: "cursor", type: { kind: "option", of: { kind } } }],
    };
    return new Map([["wasi:keyvalue/store", new Map([["[method]bucket.list-keys", listKeys]])]]);
  };
  const bucketOf = (kind: "u64" | "string") =>
    keyvalueInterfaces(host(), cursorOf(kind))["wasi:keyvalue/store"].open("any");

  beforeAll(async () => {
    const { setMany } = keyvalueInterfaces(host(), new Map())["wasi:keyvalue/batch"];
    for (let at = 0; at < keys.length; at += 500) {
      await setMany(
        bucketOf("string"),
        keys.slice(at, at + 500).map((key) => [key, bytesOf("v")]),
      );
    }
  });

  test.each(["u64", "string"] as const)(
    "R1.1: a cursor that is a %s leads on in the next life, too",
    async (kind) => {
      const seen: string[] = [];
      const cursors: string[] = [];
      let cursor: string | undefined;
      do {
        // Another bucket of another life for each page: a guest may be restarted in between.
        const page = await bucketOf(kind).listKeys(
          kind === "u64" && cursor !== undefined ? BigInt(cursor) : cursor,
        );
        seen.push(...page.keys);
        cursor = page.cursor;
        if (cursor !== undefined) cursors.push(cursor);
      } while (cursor !== undefined);
      expect(seen).toEqual(keys);
      expect(cursors).toEqual(kind === "u64" ? ["1000", "2000"] : ["k00999", "k01999"]);
    },
  );

  test("in one life, a cursor that is a number costs no counting", async () => {
    const bucket = bucketOf("u64");
    lists = 0;
    await bucket.listKeys(undefined);
    await bucket.listKeys(1_000n);
    await bucket.listKeys(2_000n);
    expect(lists).toBe(3);
    expect(await bucket.listKeys(9_999n)).toEqual({ keys: [], cursor: undefined });
    expect(await thrownBy(() => bucket.listKeys((1n << 64n) - 1n))).toMatchObject({ tag: "other" });
  });
});

test("P10: what a provider should not answer is an error of the interface, and what ends a guest is none", async () => {
  const answers: unknown[] = [
    { exists: 1 },
    { keys: [1] },
    { value: {} },
    { value: 1.5 },
    { values: [null] },
  ];
  const interfaces = keyvalueInterfaces(hostOfLife({ kv: () => answers.shift() }), new Map());
  const bucket = interfaces["wasi:keyvalue/store"].open("any");
  const { increment } = interfaces["wasi:keyvalue/atomics"];
  const wrongs = [
    () => bucket.exists("k"),
    () => bucket.listKeys(undefined),
    () => bucket.get("k"),
    () => increment(bucket, "k", 1n),
    () => interfaces["wasi:keyvalue/batch"].getMany(bucket, ["k"]),
    () => increment(bucket, "k", 1n << 60n),
  ];
  for (const wrong of wrongs) expect(await thrownBy(wrong)).toMatchObject({ tag: "other" });

  const given = keyvalueInterfaces(
    hostOfLife({ kv: () => Promise.reject(new Error("the call was given up")) }),
    new Map(),
  )["wasi:keyvalue/store"].open("any");
  expect(await thrownBy(() => given.get("k"))).toEqual(new Error("the call was given up"));

  const several = hostOfLife(
    {},
    {
      capabilityFor() {
        throw new Failure("INVALID_REQUEST", "there are two");
      },
    },
  );
  const store = keyvalueInterfaces(several, new Map())["wasi:keyvalue/store"];
  expect(await thrownBy(() => store.open("third"))).toEqual({ tag: "no-such-store" });
});
