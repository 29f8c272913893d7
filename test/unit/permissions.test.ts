import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  permissionFor,
  permissionProblem,
  permissionSet,
  permissionsOf,
  permitsCall,
  providerTypeOf,
} from "../../src/protocol/permissions.ts";
import { domainScope, reservedTopic, topicProblem, topicScope } from "../../src/protocol/scopes.ts";

const missing = (type: string, permissions: string[], operation: string, payload: unknown = {}) =>
  permissionSet(type, permissions).missing(operation, () => payload);

describe("R13.5: a permission is checked before it is granted", () => {
  test.each([
    ["kv", "kv:read", undefined],
    ["kv", "kv:read:users/", undefined],
    ["kv", "kv:read:", "the prefix must name a prefix"],
    ["kv", "kv:admin", "unknown permission for kv; there are: kv:read, kv:read:<prefix>"],
    ["kv", "http:request", "unknown permission for kv"],
    ["http", "http:domain:*.example.com", undefined],
    ["http", "http:domain", "incomplete"],
    ["http", "http:domain:*.com", "the domain is a wildcard for a whole top-level domain"],
    ["http", "http:domain:EXAMPLE.com", "the domain must be in lower case"],
    ["http", "http:domain:a b", "the domain is not a domain name"],
    ["http", "http:request:x", "http:request takes no argument"],
    ["messaging", "msg:publish:orders.>", undefined],
    ["messaging", "msg:publish", "incomplete"],
    ["messaging", "msg:publish:a..b", "the topic has an empty token"],
    ["messaging", "msg:subscribe:a.>.b", "the topic has a wildcard"],
    ["call", "call:greeter:hello", undefined],
    ["call", "call:a.b", "the name must be the name of a guest"],
    ["clock", "clock:now", undefined],
    ["clock", "clock:*", undefined],
    ["clock", "kv:read", "unknown permission for clock"],
  ])("%s, %s: %s", (type, permission, problem) => {
    const found = permissionProblem(type, permission);
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(problem);
  });

  test("the type of a permission is its first word, but for those with a shorter one", () => {
    expect(["kv:read", "msg:publish:a", "blob:read", "http-server:serve"].map(providerTypeOf)).toEqual([
      "kv",
      "messaging",
      "blobstore",
      "http-server",
    ]);
    expect(permissionsOf("messaging")).toEqual(["msg:publish:<topic>", "msg:subscribe:<topic>"]);
  });
});

describe("R2.3: what a grant covers", () => {
  test("a prefix narrows every key of an operation", () => {
    const narrow = ["kv:read:a/", "kv:write"];
    expect(missing("kv", narrow, "get", { key: "a/1" })).toBeUndefined();
    expect(missing("kv", narrow, "get", { key: "b" })).toBe("kv:read:b");
    expect(missing("kv", narrow, "get-many", { keys: ["a/1", "b"] })).toBe("kv:read:b");
    expect(missing("kv", narrow, "list", {})).toBe("kv:read:");
    expect(missing("kv", narrow, "list", { prefix: "a/x" })).toBeUndefined();
    expect(missing("kv", narrow, "set-many", { entries: [{ key: "z" }] })).toBeUndefined();
    expect(missing("kv", ["kv:write:a/"], "set-many", { entries: [{ key: "a/" }, { key: "b" }] })).toBe(
      "kv:write:b",
    );
    expect(missing("kv", narrow, "delete", { key: "a/1" })).toBe("kv:delete");
    expect(missing("kv", narrow, "get", { key: 7 })).toBe("kv:read:");
  });

  test("http:request is any host, domains are those alone", () => {
    const to = (url: string) => ({ url });
    expect(missing("http", ["http:request"], "request", to("https://a.example/"))).toBeUndefined();
    expect(missing("http", ["http:private"], "request", to("https://a.example/"))).toBe("http:request");
    const both = ["http:request", "http:domain:*.example.com"];
    expect(missing("http", both, "request", to("https://a.example.com/x"))).toBeUndefined();
    expect(missing("http", both, "request", to("https://example.com/"))).toBe("http:domain:example.com");
    expect(missing("http", both, "request", to("https://evilexample.com/"))).toBe(
      "http:domain:evilexample.com",
    );
    expect(missing("http", both, "request", to("https://xn--80ak6aa92e.example.com/"))).toBe(
      "http:domain:xn--80ak6aa92e.example.com",
    );
    expect(missing("http", both, "request", to("nonsense"))).toBe("http:domain:");
  });

  test("moving an object deletes and writes", () => {
    expect(missing("blobstore", ["blob:delete"], "move-object")).toBe("blob:write");
    expect(missing("blobstore", ["blob:write"], "move-object")).toBe("blob:delete");
    expect(missing("blobstore", ["blob:write", "blob:delete"], "move-object")).toBeUndefined();
  });

  test("who handles messages may answer them, for the provider knows which inbox is whose", () => {
    const answer = { topic: "_INBOX.a.b" };
    expect(missing("messaging", ["msg:subscribe:a"], "publish", answer)).toBeUndefined();
    expect(missing("messaging", ["msg:publish:>"], "publish", { topic: "a" })).toBeUndefined();
    expect(missing("messaging", ["msg:publish:a"], "publish", answer)).toBe("msg:publish:_INBOX.a.b");
  });

  test("a call grant is for a guest, or for one operation of it", () => {
    expect(permitsCall(["call:greeter"], "greeter", "hello")).toBe(true);
    expect(permitsCall(["call:greeter:hello"], "greeter", "hello")).toBe(true);
    expect(permitsCall(["call:greeter:hello"], "greeter", "bye")).toBe(false);
    expect(permitsCall(["call:greet"], "greeter", "hello")).toBe(false);
  });

  test("a type of somebody's own has one permission per operation", () => {
    expect(permissionFor("clock", "now")).toBe("clock:now");
    expect(missing("clock", ["clock:now"], "now")).toBeUndefined();
    expect(missing("clock", ["clock:*"], "later")).toBeUndefined();
    expect(missing("clock", ["clock:now"], "later")).toBe("clock:later");
    expect(permissionFor("kv", "explode")).toBeUndefined();
  });
});

const token = fc.constantFrom("a", "b", "c");
const subject = fc.array(token, { minLength: 1, maxLength: 4 });
const pattern = fc
  .tuple(fc.array(fc.constantFrom("a", "b", "c", "*"), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([tokens, open]) => [...tokens, ...(open ? [">"] : [])]);
/** Matching as the server does it, subject by subject. */
const matches = (filter: string[], tokens: string[]): boolean => {
  const [first, ...rest] = filter;
  if (first === undefined) return tokens.length === 0;
  if (tokens.length === 0) return false;
  return first === ">" || ((first === "*" || first === tokens[0]) && matches(rest, tokens.slice(1)));
};

describe("scopes", () => {
  test("P4: for any two topics, a granted one covers the other only if it matches all its subjects", () => {
    fc.assert(
      fc.property(pattern, pattern, subject, (granted, wanted, concrete) => {
        if (!topicScope(granted.join("."), wanted.join("."))) return;
        if (matches(wanted, concrete)) expect(matches(granted, concrete)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("P4: for any concrete topic, covering is matching", () => {
    fc.assert(
      fc.property(pattern, subject, (granted, concrete) => {
        expect(topicScope(granted.join("."), concrete.join("."))).toBe(matches(granted, concrete));
      }),
      { numRuns: 1_000 },
    );
  });

  test.each(["$SYS.a", "$JS.API.x", "_INBOX.x", "_inbox.x", "wasmatrix.ctl.v1.x", "WASMATRIX.x", ">", "*.a"])(
    "%s is out of reach whatever is granted",
    (topic) => expect(reservedTopic(topic)).toBeDefined(),
  );

  test.each(["", "a b", "a\r\nPUB x", "ä", "a.", "a\u200bb", "a".repeat(256), "a.a.a.a.a.a.a.a.a"])(
    "%j is no topic",
    (topic) => expect(topicProblem(topic)).toBeDefined(),
  );

  test("a domain covers itself, a wildcard what is below it", () => {
    expect(domainScope("example.com", "example.com")).toBe(true);
    expect(domainScope("*.example.com", "a.b.example.com")).toBe(true);
    expect(domainScope("*.example.com", "example.com")).toBe(false);
    expect(domainScope("*.example.com", "evilexample.com")).toBe(false);
    expect(domainScope("*.example.com", ".example.com")).toBe(false);
  });
});
