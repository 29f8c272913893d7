import { expect, test } from "vitest";
import { auditOf, recordsOf } from "../../actors/control-plane/audit.ts";
import { grantOf } from "../../cli/parse/grant.ts";
import { auditSheet, grantFlag } from "../../cli/render/audit.ts";
import { paintFor } from "../../cli/render/paint.ts";
import { auditLimits, engineLimits } from "../../src/limits.ts";
import { Assignment } from "../../src/protocol/instance-spec.ts";
import { allMissing, usesOf, withoutCovered } from "../../src/protocol/permission-use.ts";
import { createDenials } from "../../src/wasm/denials.ts";
import type { EngineEvent } from "../../src/wasm/engine.ts";
import { createGrants } from "../../src/wasm/grants.ts";
import type { GrantUse } from "../../src/wasm/used-grants.ts";
import { auditedInstance } from "../support/audited-instance.ts";
import { failureFrom } from "../support/failure-of.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const plain = paintFor(false, {});
const view = { complete: true, gaps: [], asOf: "2026-01-01T00:00:00.000Z" };
const nowMs = Date.parse("2026-01-01T00:03:00.000Z");

function grant(capabilityId: string, providerType: string, permissions: string[], config = {}): Assignment {
  return Assignment.parse({ capabilityId, providerType, permissions, config });
}

const get = (key: string) => ({
  capabilityId: "store",
  providerType: "kv",
  operation: "get",
  payload: { key },
});
const publish = (topic: string) => ({
  capabilityId: "out",
  providerType: "messaging",
  operation: "publish",
  payload: { topic },
});

test("R2.4: what copies of a name used and were refused is told as of one, with the widest of what they were granted", () => {
  const store = grant("store", "kv", ["kv:read", "kv:write"], { bucket: "b" });
  const one = auditedInstance([store, grant("out", "messaging", ["msg:publish:>"])], {
    instanceId: "guest-1",
  });
  const other = auditedInstance([store], { instanceId: "guest-2" });
  one.ask(publish("a.b"));
  one.ask(publish("a.c"));
  other.ask(get("a"));
  other.ask(publish("a.b"));
  other.ask(publish("a.b"));
  const { at } = other.view.audit?.denied.values().next().value ?? { at: "" };
  expect(auditOf([other.view, one.view], view)).toEqual({
    instances: ["guest-1", "guest-2"],
    audit: false,
    since: "2026-01-01T00:00:00.000Z",
    capabilities: [
      {
        capabilityId: "out",
        providerType: "messaging",
        config: {},
        granted: [
          {
            permission: "msg:publish:>",
            used: true,
            exactly: ["msg:publish:a.b", "msg:publish:a.c"],
            isSeen: true,
          },
        ],
        denied: [{ permission: "msg:publish:a.b", operation: "publish", count: 2, at, isGrantable: true }],
      },
      {
        capabilityId: "store",
        providerType: "kv",
        config: { bucket: "b" },
        granted: [
          { permission: "kv:read", used: true, exactly: [], isSeen: true },
          { permission: "kv:write", used: false, exactly: [], isSeen: true },
        ],
        denied: [],
      },
    ],
    more: false,
    smallest: [
      grant("out", "messaging", ["msg:publish:a.b", "msg:publish:a.c"]),
      grant("store", "kv", ["kv:read"], { bucket: "b" }),
    ],
    view,
  });
});

test("R2.4: what was taken back is not asked for again, and what cannot be seen is kept", () => {
  const out = grant("out", "http", ["http:request", "http:private"]);
  const instance = auditedInstance([grant("store", "kv", ["kv:read"]), out]);
  instance.ask(get("a"));
  const url = "https://api.example.com/x";
  instance.ask({ capabilityId: "out", providerType: "http", operation: "request", payload: { url } });
  instance.speaker.state("capability.revoked", { instanceId: "guest-1", capabilityId: "store" });
  expect(instance.audit().smallest).toEqual([
    grant("out", "http", ["http:domain:api.example.com", "http:private"]),
  ]);
});

test("R8.1: what is told apart, kept and carried along is bounded", () => {
  const instance = auditedInstance([grant("out", "messaging", ["msg:publish:a.>"])], { audit: true });
  for (let index = 0; index < 200; index += 1) {
    instance.ask(publish(`a.t${index}`));
    instance.ask(publish(`b.t${index}`));
  }
  const { smallest, capabilities, more } = instance.audit();
  expect(capabilities[0]?.granted).toEqual([
    { permission: "msg:publish:a.>", used: true, exactly: [], isSeen: true },
  ]);
  expect([capabilities[0]?.denied.length, more]).toEqual([auditLimits.denialsKeptInAuditMax, true]);
  expect(smallest[0]?.permissions.length).toBe(auditLimits.grantPermissionsMax);
  const many = Array.from({ length: 20 }, () => instance.view);
  expect(recordsOf(many).audited?.length).toBe(auditLimits.recordsPerStartMax);
  expect(recordsOf([auditedInstance([]).view])).toEqual({});
});

test("R8.1: an instance that used and was refused nothing weighs nothing in a view", () => {
  expect(Object.hasOwn(auditedInstance([grant("store", "kv", ["kv:read"])]).view, "audit")).toBe(false);
});

test("R2.3: a use is told once, and once more for each thing that it is used for, until these are too many", () => {
  const told: GrantUse[] = [];
  const grants = createGrants("g", [grant("peer", "call", ["call:one"]), grant("mine", "mine", ["mine:*"])], {
    tell: (use) => void told.push(use),
  });
  for (let times = 0; times < 2; times += 1) {
    grants.checkCall("one", "go");
    for (let index = 0; index < 12; index += 1) grants.check("mine", "mine", `o${index}`, new Uint8Array());
  }
  grants.notedUse("call:one,call:one:stop,call:two,no,,msg:publish:x");
  expect(told.slice(0, 3)).toEqual([
    { capabilityId: "peer", permission: "call:one", exactly: "call:one:go" },
    { capabilityId: "mine", permission: "mine:*", exactly: "mine:o0" },
    { capabilityId: "mine", permission: "mine:*", exactly: "mine:o1" },
  ]);
  expect(told.slice(9)).toEqual([
    { capabilityId: "mine", permission: "mine:*" },
    { capabilityId: "peer", permission: "call:one" },
  ]);
});

test("R2.5: in an audit a grant that is not there is found, what is done with it is refused, and all that is missing is named", () => {
  const payload = new TextEncoder().encode('{"topic":"a.b","replyTo":"c.d"}');
  const refused = (isAudited: boolean) =>
    failureFrom(() => createGrants("g", [], { isAudited }).check("out", "messaging", "publish", payload))
      .details;
  const told = { permission: "msg:publish:a.b", capabilityId: "out", providerType: "messaging" };
  expect(refused(false)).toEqual(told);
  expect(refused(true)).toEqual({ ...told, permissions: ["msg:publish:a.b", "msg:publish:c.d"] });
  expect(createGrants("g", [], { isAudited: true }).find("kv", "default")).toBe("default");
  expect(failureFrom(() => createGrants("g", []).find("kv", "default"))).toMatchObject({
    code: "PERMISSION_DENIED",
    fix: "Grant it: wasmatrix assign g default=kv:read",
  });
});

test("of several that cover a call the narrowest is used, and what another one covers is superfluous", () => {
  const granted = ["http:domain:*.example.com", "http:domain:*.api.example.com", "http:private"];
  const payload = () => ({ url: "https://eu.api.example.com/" });
  expect(usesOf("http", granted, "request", payload)).toEqual([
    { permission: "http:domain:*.api.example.com", exactly: "http:domain:eu.api.example.com" },
  ]);
  expect(withoutCovered("http", [...granted, "http:domain:eu.api.example.com"])).toEqual([
    "http:domain:*.example.com",
    "http:private",
  ]);
  expect(withoutCovered("http", ["http:request", ...granted])).toEqual(["http:private", "http:request"]);
  // A host that cannot be written as a domain: only the whole permission is known to be enough.
  expect(usesOf("http", ["http:request"], "request", () => ({ url: "https://a_b.example.com" }))).toEqual([
    { permission: "http:request" },
  ]);
  expect(allMissing("blobstore", ["blob:delete"], "move-object", () => ({}))).toEqual(["blob:write"]);
});

test("R4.5: refusals that differ are told at once, repeated and further ones once a period, with their count", async () => {
  const clock = virtualClock();
  const told: string[] = [];
  const deny = createDenials(clock, ({ permission, count, more }) => {
    told.push(`${permission} ${count}${more === true ? " more" : ""}`);
  });
  const denied = (permission: string, instanceId = "i"): Omit<Denied, "count"> => ({
    type: "capability.denied",
    instanceId,
    capabilityId: "c",
    providerType: "messaging",
    operation: "publish",
    permission,
  });
  const inPeriod = auditLimits.denialsPerPeriodMax;
  for (let times = 0; times < 5; times += 1) deny(denied("t0"));
  for (let index = 1; index < inPeriod + auditLimits.denialsWaitingMax + 10; index += 1)
    deny(denied(`t${index}`));
  deny(denied("other", "j"));
  expect(told).toEqual([...Array.from({ length: inPeriod }, (_, index) => `t${index} 1`), "other 1"]);
  told.length = 0;
  await clock.advance(engineLimits.denialPeriodMs);
  expect(told.slice(0, 2)).toEqual(["t0 4 more", `t${inPeriod} 1`]);
  expect(told).toHaveLength(inPeriod);
  await clock.advance(20 * engineLimits.denialPeriodMs);
  expect(told).toHaveLength(auditLimits.denialsWaitingMax);
  told.length = 0;
  deny(denied("t0"));
  expect(told).toEqual(["t0 1"]);
});

type Denied = Extract<EngineEvent, { type: "capability.denied" }>;

test("R13.6: the sheet shows what was used, what not and what was refused, and ends with commands", () => {
  const instance = auditedInstance([
    grant("store", "kv", ["kv:read", "kv:write"], { bucket: "visits" }),
    grant("out", "messaging", ["msg:publish:>"]),
    grant("files", "blobstore", ["blob:read"]),
  ]);
  const empty = auditSheet(plain, nowMs, "guest", { ok: true, ...instance.audit() } as never);
  expect(empty.split("\n").at(-1)).toBe("Nothing was used and nothing refused yet: call it, and look again.");
  instance.ask(get("a"));
  instance.ask(publish("orders.new"));
  instance.ask({ capabilityId: "store", providerType: "kv", operation: "delete", payload: { key: "a" } });
  expect(auditSheet(plain, nowMs, "guest", { ok: true, ...instance.audit() } as never))
    .toMatchInlineSnapshot(`
    "guest, watched since 3m ago

    CAPABILITY       PERMISSION     USE
    files blobstore  blob:read      not used
    out messaging    msg:publish:>  used as msg:publish:orders.new
    store kv         kv:read        used
                     kv:write       not used
                     kv:delete      refused once, 2m ago

    What was refused is no part of what follows: start it with --audit to see all that it needs.

    as small as what happened allows
    wasmatrix assign guest out=msg:publish:orders.new
    wasmatrix assign guest 'store=kv:read?bucket=visits'
    wasmatrix revoke guest files

    or from the next start on
    wasmatrix start … --grant out=msg:publish:orders.new --grant 'store=kv:read?bucket=visits'"
  `);
});

test("R13.4: a grant is written so that a shell and the command line read the same", () => {
  const grants = [
    grant("out", "messaging", ["msg:publish:orders.>", "msg:publish:*.b"], {
      subscriptions: "a b&c=d+e%",
      durable: "x",
    }),
    { ...grant("it", "kv", ["kv:read:it's"]), provider: "kv-2" },
    grant("web", "http-server", ["http-server:serve"], { path: "/user" }),
  ];
  expect(grants.map(grantFlag)).toEqual([
    "'out=msg:publish:orders.>,msg:publish:*.b?subscriptions=a%20b%26c=d%2Be%25&durable=x'",
    "'it=kv:read:it'\\''s?provider=kv-2'",
    "'web=http-server:serve?path=/user'",
  ]);
  const words = grants.map(
    (one) =>
      grantFlag(one)
        ?.replace(/^'(.*)'$/s, "$1")
        .replaceAll("'\\''", "'") ?? "",
  );
  expect(words.map(grantOf)).toEqual(grants);
  expect(grantFlag(grant("store", "kv", ["kv:read:a,b"]))).toBeUndefined();
});
