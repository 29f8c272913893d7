import fc from "fast-check";
import { expect, test } from "vitest";
import { Assignment } from "../../src/protocol/instance-spec.ts";
import { type AskedFor, auditedInstance, permits } from "../support/audited-instance.ts";

const runs = { numRuns: 400 };

const token = fc.constantFrom("a", "b");
const topic = fc.array(token, { minLength: 1, maxLength: 2 }).map((tokens) => tokens.join("."));
const pattern = fc.oneof(
  topic,
  fc.constantFrom(">", "a.>", "*.a", "a.*", "*.*", "*").map((one) => one),
);
const key = fc
  .array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join(""));
const host = fc.constantFrom("x.test", "a.x.test", "b.a.x.test", "y.test");
const guest = fc.constantFrom("one", "two");
const operation = fc.constantFrom("go", "stop");

const permissions: Readonly<Record<string, fc.Arbitrary<string>>> = {
  kv: fc.oneof(
    fc.constantFrom("kv:read", "kv:write", "kv:delete"),
    fc.tuple(fc.constantFrom("kv:read", "kv:write", "kv:delete"), key).map(([name, one]) => `${name}:${one}`),
  ),
  http: fc.oneof(
    fc.constant("http:request"),
    fc.oneof(host, fc.constantFrom("*.x.test", "*.a.x.test")).map((one) => `http:domain:${one}`),
  ),
  messaging: fc
    .tuple(fc.constantFrom("msg:publish", "msg:subscribe"), pattern)
    .map(([name, one]) => `${name}:${one}`),
  blobstore: fc.constantFrom("blob:read", "blob:write", "blob:delete"),
  call: fc.oneof(
    guest.map((one) => `call:${one}`),
    fc.tuple(guest, operation).map(([one, what]) => `call:${one}:${what}`),
  ),
  mine: fc.oneof(
    fc.constant("mine:*"),
    operation.map((one) => `mine:${one}`),
  ),
};

const grants = fc
  .uniqueArray(fc.constantFrom(...Object.keys(permissions)), { maxLength: 6 })
  .chain((types) =>
    fc.tuple(
      ...types.map((providerType) =>
        fc
          .uniqueArray(permissions[providerType] ?? fc.constant(""), { minLength: 1, maxLength: 5 })
          .map((listed) =>
            Assignment.parse({ capabilityId: providerType, providerType, permissions: listed }),
          ),
      ),
    ),
  );

const asking = (providerType: string, what: fc.Arbitrary<Omit<AskedFor, "capabilityId" | "providerType">>) =>
  what.map((one): AskedFor => ({ capabilityId: providerType, providerType, ...one }));

const anything: fc.Arbitrary<AskedFor> = fc.oneof(
  asking(
    "kv",
    fc.record({ operation: fc.constantFrom("get", "set", "delete", "exists"), payload: fc.record({ key }) }),
  ),
  asking(
    "kv",
    fc.record({
      operation: fc.constantFrom("get-many", "delete-many"),
      payload: fc.record({ keys: fc.array(key, { minLength: 1, maxLength: 3 }) }),
    }),
  ),
  asking(
    "http",
    host.map((one) => ({ operation: "request", payload: { url: `https://${one}/path` } })),
  ),
  asking(
    "messaging",
    fc.record({ operation: fc.constantFrom("publish", "request"), payload: fc.record({ topic }) }),
  ),
  asking(
    "messaging",
    fc.record({ operation: fc.constant("subscribe"), payload: fc.record({ topic: pattern }) }),
  ),
  asking(
    "blobstore",
    fc.record({
      operation: fc.constantFrom("get-object", "put-object", "move-object", "delete-container"),
      payload: fc.constant({}),
    }),
  ),
  asking("call", fc.record({ target: guest, operation, payload: fc.constant({}) })),
  asking("mine", fc.record({ operation, payload: fc.constant({}) })),
);
const calls = fc.array(anything, { maxLength: 12 });

test("P4: for any grants and calls, the smallest grants permit every call that was permitted, and without one of their permissions one is not", () => {
  fc.assert(
    fc.property(grants, calls, (granted, asked) => {
      const instance = auditedInstance(granted);
      const permitted = asked.filter((one) => instance.ask(one));
      const { smallest } = instance.audit();
      expect(permitted.filter((one) => !permits(smallest, one))).toEqual([]);
      for (const [index, grant] of smallest.entries())
        for (const permission of grant.permissions) {
          const less = smallest.with(index, {
            ...grant,
            permissions: grant.permissions.filter((one) => one !== permission),
          });
          expect({ permission, isNeeded: permitted.some((one) => !permits(less, one)) }).toEqual({
            permission,
            isNeeded: true,
          });
        }
    }),
    runs,
  );
});

test("P4, R2.5: for any grants and calls, an audit permits nothing more, and its smallest grants permit all that was asked for", () => {
  fc.assert(
    fc.property(grants, calls, (granted, asked) => {
      const instance = auditedInstance(granted, { audit: true });
      for (const one of asked) expect(instance.ask(one)).toBe(permits(granted, one));
      const { smallest } = instance.audit();
      expect(asked.filter((one) => !permits(smallest, one))).toEqual([]);
      for (const grant of smallest) expect(Assignment.parse(grant)).toEqual(grant);
    }),
    runs,
  );
});

test("P2, P14: what is told again gives the same audit, and saying it twice changes nothing of what was used", () => {
  fc.assert(
    fc.property(grants, calls, fc.boolean(), (granted, asked, audit) => {
      const instance = auditedInstance(granted, { audit });
      for (const one of asked) instance.ask(one);
      const before = instance.audit();
      const { seq } = instance.speaker.own();
      for (const one of asked.filter((call) => permits(granted, call))) instance.ask(one);
      expect(instance.speaker.own().seq).toBe(seq);
      expect(instance.audit()).toEqual(before);
    }),
    runs,
  );
});
