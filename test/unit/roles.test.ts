import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  applicationPermissionsOf,
  assertTopic,
  type BusPermissions,
  hostingOf,
  type Identity,
  permissionsOf,
} from "../../src/protocol/roles.ts";
import type { Role, SubjectRow } from "../../src/protocol/subject-row.ts";
import { subjects } from "../../src/protocol/subjects.ts";
import { subjectMatches } from "../support/subject-matches.ts";

const roles: readonly Role[] = ["operator", "control-plane", "node", "provider", "observer"];
const rows: readonly SubjectRow[] = Object.values(subjects);

const allows = ({ allow, deny }: BusPermissions["publish"], subject: string) =>
  allow.some((filter) => subjectMatches(filter, subject)) &&
  !deny.some((filter) => subjectMatches(filter, subject));

/** What the table says, read row by row: no filters, no sets. */
function tableSays(identity: Identity, operation: "publish" | "subscribe", subject: string): boolean {
  const own = ownRoles(identity);
  const tokens = subject.split(".");
  if (tokens[0] === "_INBOX") return inboxSays(identity, own, operation, tokens);
  return rows.some((row) => {
    const speakers = operation === "publish" ? row.publishers : row.listeners;
    if (!speakers.some((role) => own.includes(role) && maySpeak(identity, role, operation, row)))
      return false;
    const pattern = row.pattern.split(".");
    const isOpenEnded = pattern.at(-1) === ">";
    if (isOpenEnded ? tokens.length < pattern.length : tokens.length !== pattern.length) return false;
    return pattern.every((part, index) => {
      if (part === ">") return true;
      if (!part.startsWith("{")) return part === tokens[index];
      const name = part.slice(1, -1);
      if (name === "lattice") return tokens[index] === identity.lattice;
      if (name !== (operation === "publish" ? row.speaker : row.listener)) return true;
      if (name !== "provider") return tokens[index] === identity.id;
      return (identity.hosts ?? []).some((one) => one === "*" || one.split("=")[0] === tokens[index]);
    });
  });
}

function inboxSays(
  { role, id }: Identity,
  own: readonly Role[],
  operation: "publish" | "subscribe",
  [, owner = "", ownerId = "", ...rest]: readonly string[],
): boolean {
  const asked = rows.filter((row) => row.kind !== "broadcast");
  if (operation === "subscribe") {
    const mayAsk = asked.some((row) => row.publishers.some((one) => own.includes(one)));
    return mayAsk && owner === role && ownerId === id && rest.length > 0;
  }
  if (ownerId === "") return false;
  return asked
    .filter((row) => row.listeners.some((one) => own.includes(one)))
    .some((row) => row.publishers.some((one) => one === owner || (one === "provider" && owner === "node")));
}

/** A provider process that only has kinds that call nobody does not speak where they never do. */
function maySpeak({ hosts = [] }: Identity, role: Role, operation: string, { notOf }: SubjectRow): boolean {
  if (operation === "subscribe" || role !== "provider" || notOf === undefined) return true;
  return hosts.some((one) => !notOf.includes(one.split("=").at(-1) ?? ""));
}

const ownRoles = ({ role, hosts = [] }: Identity): readonly Role[] =>
  role === "node" && hosts.length > 0 ? ["node", "provider"] : [role];

const ids = ["n1", "n2", "p1", "kv", "default", "x"] as const;
const anId = fc.constantFrom(...ids);
const identities: fc.Arbitrary<Identity> = fc.record({
  role: fc.constantFrom(...roles),
  id: anId,
  lattice: fc.constantFrom("default", "other"),
  hosts: fc.constantFrom([], ["kv"], ["kv", "x=messaging"], ["*"]),
});
const ofTheTable = fc.constantFrom(...rows).chain(({ pattern }) =>
  fc
    .tuple(
      ...pattern.split(".").map((part) => {
        if (part === "{lattice}") return fc.constantFrom("default", "default", "other");
        if (part === ">") return fc.constantFrom("a", "a.b");
        return part.startsWith("{") ? anId : fc.constant(part);
      }),
    )
    .map((tokens) => tokens.join(".")),
);
const inboxes = fc
  .tuple(fc.constantFrom(...roles, "application"), anId, fc.constantFrom("", ".t", ".t.u"))
  .map(([role, id, rest]) => `_INBOX.${role}.${id}${rest}`);
const damaged = fc
  .tuple(ofTheTable, fc.nat(8), fc.constantFrom("x", "v2", "a.b"))
  .map(([subject, at, instead]) => {
    const tokens = subject.split(".");
    return tokens.with(at % tokens.length, instead).join(".");
  });
const others = fc.constantFrom("$SYS.x", "$JS.API.INFO", "$KV.b.k", "orders.1", "wasmatrix", "_INBOX.a");

describe("R12.4: what a role may do on the bus is what the table says", () => {
  test("P4, P17: of any identity and any subject, neither more nor less", () => {
    fc.assert(
      fc.property(
        identities,
        fc.oneof({ weight: 4, arbitrary: ofTheTable }, inboxes, damaged, others),
        fc.constantFrom("publish", "subscribe"),
        (identity, subject, operation) => {
          const permissions = permissionsOf(identity);
          expect(allows(permissions[operation], subject)).toBe(tableSays(identity, operation, subject));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("P4: the second user of a provider never reaches a subject of the lattice, nor another's inbox", () => {
    const subject = fc.oneof(ofTheTable, inboxes, damaged);
    fc.assert(
      fc.property(
        fc.constantFrom(["*"], ["kv"], ["messaging"], ["kv", "blobstore"], ["kv", "s=messaging"]),
        fc.constantFrom(undefined, ["orders.>"]),
        subject,
        (hosts, topics, given) => {
          const identity: Identity = {
            role: "provider",
            id: "p1",
            lattice: "default",
            hosts,
            ...(topics === undefined ? {} : { topics }),
          };
          const outside = applicationPermissionsOf(identity, ["p1", "n1", "n2", "kv", "x", "default"]);
          if (outside === undefined) throw new Error("it needs one");
          const isOwn = given.startsWith("_INBOX.application.p1.");
          const isAnswer = /^_INBOX\.application\../.test(given);
          // An inbox without a token of its own is nobody's.
          const isOurs = given.startsWith("wasmatrix.") || /^_INBOX\.[^.]+\.[^.]+\../.test(given);
          if (!isOurs) return;
          expect(allows(outside.subscribe, given)).toBe(isOwn);
          expect(allows(outside.publish, given) && !isAnswer).toBe(false);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test("an observer hears facts, logs and control planes, and asks only for what is true now", () => {
    expect(permissionsOf({ role: "observer", id: "o", lattice: "default" })).toEqual({
      publish: { allow: ["wasmatrix.nodes.v1.default.replay"], deny: [] },
      subscribe: {
        allow: [
          "wasmatrix.fact.v1.default.*.*.*",
          "wasmatrix.log.v1.default.*.*",
          "wasmatrix.plane.v1.default.*.beat",
        ],
        deny: [],
      },
    });
  });

  test("a node speaks as itself, and hears its own commands, calls, bodies and answers", () => {
    const { publish, subscribe } = permissionsOf({ role: "node", id: "n1", lattice: "l" });
    expect(publish.allow).toEqual([
      "_INBOX.control-plane.>",
      "_INBOX.node.>",
      "_INBOX.operator.>",
      "_INBOX.provider.>",
      "wasmatrix.call.v1.l.*.*",
      "wasmatrix.cap.v1.l.*.n1.*",
      "wasmatrix.fact.v1.l.n1.*.*",
      "wasmatrix.leave.v1.l.n1",
      "wasmatrix.log.v1.l.n1.*",
      "wasmatrix.lost.v1.l",
      "wasmatrix.node.v1.l.*.module.read",
      "wasmatrix.renew.v1.l.n1",
      "wasmatrix.stream.v1.l.*.*.*",
    ]);
    expect(subscribe.allow.filter((filter) => !filter.startsWith("wasmatrix.node.v1.l.n1."))).toEqual([
      "_INBOX.node.n1.>",
      "wasmatrix.call.v1.l.*.*",
      "wasmatrix.nodes.v1.l.replay",
      "wasmatrix.stream.v1.l.n1.*.*",
    ]);
  });

  test("every role may do something and not everything: an empty list would be no restriction", () => {
    for (const role of roles) {
      const { publish, subscribe } = permissionsOf({ role, id: "a", lattice: "l", hosts: ["kv"] });
      expect([publish.allow.length > 0, subscribe.allow.length > 0]).toEqual([true, true]);
      expect([...publish.allow, ...subscribe.allow].filter((one) => /^[*>]|^_INBOX\.[*>]/.test(one))).toEqual(
        [],
      );
    }
  });
});

describe("R12.4: what may be hosted", () => {
  test("is the name of a provider, with its kind where that is another", () => {
    expect(["kv", "sessions=kv", "*"].map(hostingOf)).toEqual([
      { name: "kv", kind: "kv" },
      { name: "sessions", kind: "kv" },
      { name: "*", kind: "*" },
    ]);
    for (const text of ["", "a b", "kv.x", "=kv", ">", "kv=*", "k\r\nv", "x".repeat(65)])
      expect(() => hostingOf(text)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
  });

  test("who hosts neither JetStream nor messaging has no second user", () => {
    const provider: Identity = { role: "provider", id: "p", lattice: "l", hosts: ["http", "http-server"] };
    expect(applicationPermissionsOf(provider, [])).toBeUndefined();
  });

  test("topics are of applications", () => {
    for (const topic of ["orders.>", "a", "sensors.*.t"]) expect(() => assertTopic(topic)).not.toThrow();
    for (const topic of [">", "*.x", "wasmatrix.>", "$JS.API.>", "_INBOX.>", "a..b", ""])
      expect(() => assertTopic(topic)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
  });

  test("exact topics are all that a messaging provider gets", () => {
    const identity: Identity = {
      role: "provider",
      id: "p",
      lattice: "l",
      hosts: ["messaging"],
      topics: ["a.>"],
    };
    const outside = applicationPermissionsOf(identity, ["p", "q"]);
    expect(outside?.subscribe).toEqual({ allow: ["_INBOX.application.p.>", "a.>"], deny: [] });
    expect(outside?.publish.allow.filter((filter) => !filter.startsWith("$JS."))).toEqual([
      "_INBOX.application.>",
      "a.>",
    ]);
  });
});
