import { describe, expect, test } from "vitest";
import { parseHttpRequest } from "../../src/capabilities/http/parse-request.ts";
import { createMemoryBlobstore } from "../../src/capabilities/blobstore/memory.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import { parseMessagingRequest } from "../../src/capabilities/messaging/parse-request.ts";
import { httpClientLimits, messagingLimits } from "../../src/limits.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { capabilityScope } from "../support/capability-scope.ts";
import { failureFrom } from "../support/failure-of.ts";

const utf8 = (text: string) => new Uint8Array(Buffer.from(text));
const manyKeys = (count: number) => Array.from({ length: count }, (_, at) => `"k${at}":1`).join(",");
/** A MessagePack map of a million keys, which are all there. */
const millionKeys = Buffer.concat([
  Buffer.from("df000f4240", "hex"),
  ...Array.from({ length: 1_000_000 }, (_, at) => Buffer.from([0xc4, 1, at & 0xff, 1])),
]);

const scopeOf = (name: string) => capabilityScope({ instanceId: `${name}-1`, name });
const outcome = (capability: Capability, who: string, operation: string, payload: Uint8Array) =>
  capability.call(scopeOf(who), operation, payload).then(
    (bytes) => decode(bytes).value,
    (error: unknown) => error,
  );

/** Payloads that are nobody's request, whatever the operation. */
const hostile: Record<string, Uint8Array> = {
  "a million keys in JSON": utf8(`{${manyKeys(1_000_000)}}`),
  "a million keys in MessagePack": new Uint8Array(millionKeys),
  "a million levels": utf8('{"key":'.repeat(1_000_000)),
  "a list of a million": utf8(`{"keys":[${"1,".repeat(999_999)}1]}`),
  __proto__: utf8('{"__proto__":{"key":"a"}}'),
  "a field of a million letters": utf8(`{"${"x".repeat(1_000_000)}":1}`),
  nothing: new Uint8Array(),
};

describe("P18, R13.5: payloads of capability calls that are none", () => {
  const capabilities: [string, Capability, string[]][] = [
    ["kv", createMemoryKv(), ["get", "set", "list", "get-many", "set-many", "delete-many", "increment"]],
    ["blobstore", createMemoryBlobstore(), ["get-object", "put-object", "list-objects", "delete-objects"]],
  ];
  test.each(capabilities)(
    "are refused by %s in few words, and it goes on",
    async (_, capability, operations) => {
      for (const operation of [...operations, "__proto__", "constructor", "x".repeat(100_000)]) {
        for (const payload of Object.values(hostile)) {
          const refusal = (await outcome(capability, "a", operation, payload)) as Failure;
          expect(refusal).toBeInstanceOf(Failure);
          expect(["INVALID_REQUEST", "RESOURCE_EXHAUSTED"]).toContain(refusal.code);
          expect(refusal.message).toMatch(/^[\x20-\x7e–…]{1,300}$/);
        }
      }
    },
  );

  test("are refused by messaging and by http", () => {
    for (const payload of Object.values(hostile)) {
      for (const read of [
        () => parseMessagingRequest("publish", payload, messagingLimits),
        () => parseHttpRequest(payload, httpClientLimits),
      ]) {
        const { code, message } = failureFrom(read);
        expect(["INVALID_REQUEST", "RESOURCE_EXHAUSTED"]).toContain(code);
        expect(message.length).toBeLessThan(300);
      }
    }
  });
});

describe("R14.5, P19: keys and names that lead elsewhere for somebody lead nowhere here", () => {
  const names = [
    "../b-1/secret",
    "..",
    ".",
    "/",
    "//secret",
    "a/../../secret",
    "%2e%2e/secret",
    "secret\0",
    "C:\\secret",
  ];

  test.each(names)("the key %j is the guest's own, or none", async (key) => {
    const kv = createMemoryKv();
    await outcome(kv, "b", "set", encode({ key: "secret", value: utf8("b's own") }, "msgpack"));
    const put = await outcome(kv, "a", "set", encode({ key, value: utf8("a's own") }, "msgpack"));
    const own = await outcome(kv, "a", "get", encode({ key }, "msgpack"));
    if (put instanceof Failure) expect(put.code).toBe("INVALID_REQUEST");
    else expect(own).toEqual({ value: utf8("a's own") });
    expect(await outcome(kv, "b", "get", encode({ key: "secret" }, "msgpack"))).toEqual({
      value: utf8("b's own"),
    });
  });

  test.each(names)("the object %j is the guest's own, or none", async (name) => {
    const store = createMemoryBlobstore();
    for (const who of ["a", "b"])
      await outcome(store, who, "create-container", encode({ container: "c" }, "msgpack"));
    const at = (object: string, body: string) =>
      encode({ container: "c", name: object, body: utf8(body) }, "msgpack");
    await outcome(store, "b", "put-object", at("secret", "b's own"));
    const put = await outcome(store, "a", "put-object", at(name, "a's own"));
    if (put instanceof Failure) expect(put.code).toBe("INVALID_REQUEST");
    const got = await outcome(
      store,
      "b",
      "get-object",
      encode({ container: "c", name: "secret" }, "msgpack"),
    );
    expect(got).toMatchObject({ body: utf8("b's own") });
  });
});
