import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { contextOf, forgetContext, leaveContext } from "../../cli/auth/context.ts";
import { busOptionsOf, signIn } from "../../cli/auth/sign-in.ts";
import { authenticatorFrom, inboxPrefixIn } from "../../src/bus/credentials.ts";
import { createRefusals } from "../../src/bus/refusals.ts";
import { credentialsIn } from "../../src/protocol/credentials.ts";
import { refusalLimits } from "../../src/limits.ts";
import { createLatticeRoles } from "../support/lattice-roles.ts";
import { virtualClock } from "../support/virtual-clock.ts";

let home: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "wasmatrix-home-"));
  env = { XDG_STATE_HOME: home };
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
});
const url = "nats://127.0.0.1:4222";

describe("R12.4: who somebody is", () => {
  test("is what the flag says, else the environment, else what `up` left for that server, else nobody", () => {
    using roles = createLatticeRoles("mine");
    const [flag, variable, left] = ["a", "b", "c"].map((id) => roles.creds("operator", id));
    leaveContext(env, url, {
      creds: left ?? "",
      lattice: "mine",
      authDirectory: roles.path,
      pid: process.pid,
    });
    const idOf = (flags: object, given: NodeJS.ProcessEnv) =>
      signIn({ nats: url, ...flags }, given).credentials?.id;
    const both = { ...env, WASMATRIX_CREDS: variable };
    expect(idOf({ creds: flag }, both)).toBe("a");
    expect(idOf({}, both)).toBe("b");
    expect(idOf({}, env)).toBe("c");
    expect(idOf({ nats: "nats://localhost:4222" }, env)).toBe("c");
    expect(idOf({ lattice: "other" }, env)).toBeUndefined();
    expect(idOf({ nats: "nats://127.0.0.1:4333" }, env)).toBeUndefined();
    expect(idOf({ nats: "nats://192.0.2.1:4222" }, env)).toBeUndefined();
    forgetContext(env, url, roles.path);
    expect(idOf({}, env)).toBeUndefined();
  });

  test("what an `up` left that was killed, or somebody broke, is not found", () => {
    const context = { creds: "/x", lattice: "mine", authDirectory: "/y" };
    leaveContext(env, url, { ...context, pid: 4_194_304 });
    expect(contextOf(env, url, undefined)).toBeUndefined();
    leaveContext(env, url, { ...context, pid: process.pid });
    expect(contextOf(env, url, undefined)).toEqual({ ...context, pid: process.pid });
    forgetContext(env, url, "/of another one");
    expect(contextOf(env, url, undefined)).toBeDefined();
    writeFileSync(join(home, "wasmatrix", "contexts", "localhost-4222.json"), "{");
    expect(contextOf(env, url, undefined)).toBeUndefined();
  });

  test("the lattice is that of the credentials, and no other one goes with them", () => {
    using roles = createLatticeRoles("mine");
    const creds = roles.creds("node", "n1", { hosts: ["kv"] });
    const session = signIn({ nats: `${url},nats://b:1`, creds }, {});
    expect(session).toMatchObject({
      lattice: "mine",
      credentials: { role: "node", id: "n1", hosts: ["kv"] },
    });
    expect(busOptionsOf(session)).toEqual({ servers: [url, "nats://b:1"], credsFile: creds });
    expect(busOptionsOf(session, "application")).toMatchObject({ user: "application" });
    expect([inboxPrefixIn(creds), inboxPrefixIn(creds, "application")]).toEqual([
      "_INBOX.node.n1",
      "_INBOX.application.n1",
    ]);
    const noBus = expect.objectContaining({
      code: "INVALID_REQUEST",
      details: expect.objectContaining({ noBus: true }),
    });
    expect(() => signIn({ nats: url, creds, lattice: "other" }, {})).toThrow(noBus);
    expect(() => signIn({ nats: url, creds: join(home, "none") }, {})).toThrow(noBus);
    chmodSync(creds, 0o644);
    expect(signIn({ nats: url, creds }, {}).warning).toMatch("chmod 600");
  });

  test("each user of a file signs as itself, and a file without the second has none", () => {
    using roles = createLatticeRoles();
    const both = roles.creds("provider", "p1", { hosts: ["kv"] });
    const keys = (["nats", "application"] as const).map((user) => authenticatorFrom(both, user)("nonce"));
    expect(new Set(keys.map((key) => (key as { nkey: string }).nkey)).size).toBe(2);
    const one = roles.creds("node", "n1");
    expect(() => authenticatorFrom(one, "application")).toThrow(
      expect.objectContaining({ code: "INVALID_REQUEST" }),
    );
  });

  test("credentials of another form are refused by the names of their fields alone", () => {
    const seed = `SU${"A".repeat(56)}`;
    const damaged = JSON.stringify({
      version: 1,
      lattice: "l",
      role: "node",
      id: "*",
      nats: seed.slice(0, 40),
      roots: [],
    });
    try {
      credentialsIn(damaged);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "INVALID_REQUEST", details: { fields: ["id", "nats", "roots"] } });
      expect(JSON.stringify(error) + String(error)).not.toContain(seed.slice(0, 20));
    }
    for (const text of ["{", "{}", '{"__proto__":{}}'])
      expect(() => credentialsIn(text)).toThrow(expect.objectContaining({ code: "INVALID_REQUEST" }));
    expect(credentialsIn(`${seed}\n`)).toBeUndefined();
  });
});

describe("R9.1: what the bus refuses is told", () => {
  test("at once, then once a second with its count; inboxes and floods as one", async () => {
    const clock = virtualClock(0);
    const told: unknown[] = [];
    const refusals = createRefusals(clock, (refusal) => told.push(refusal));
    for (let count = 0; count < 3; count += 1) refusals.add("publish", "a.b");
    refusals.add("publish", "_INBOX.node.n1.token.x");
    refusals.add("publish", "_INBOX.node.n1.token.y");
    expect(told).toEqual([
      { operation: "publish", subject: "a.b", count: 1 },
      { operation: "publish", subject: "_INBOX.node.n1.>", count: 1 },
    ]);
    told.length = 0;
    await clock.advance(refusalLimits.periodMs);
    expect(told).toEqual([
      { operation: "publish", subject: "a.b", count: 2 },
      { operation: "publish", subject: "_INBOX.node.n1.>", count: 1 },
    ]);
    expect(refusals.total).toBe(5);
    told.length = 0;
    for (let count = 0; count < 1_000; count += 1) refusals.add("subscribe", `s.${count}`);
    expect(told.length).toBeLessThanOrEqual(refusalLimits.kindsMax + 1);
    expect(told.at(-1)).toMatchObject({ subject: ">" });
  });
});
