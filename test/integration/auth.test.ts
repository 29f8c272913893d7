import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { freePort } from "../../cli/up/nats-part.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { readCertificate } from "../../src/trust/certificate.ts";
import { verifyingKeyFrom } from "../../src/trust/keys.ts";
import { startConfigured } from "../support/auth-server.ts";
import { commandLine } from "../support/command-line.ts";
import { startNatsServer } from "../support/nats-server.ts";

let dir: string;
let port: number;
beforeEach(async () => {
  dir = join(mkdtempSync(join(tmpdir(), "wasmatrix-auth-")), "auth");
  port = await freePort("--port", undefined, []);
  onTestFinished(() => rmSync(join(dir, ".."), { recursive: true, force: true }));
});

const auth = (...args: string[]) => commandLine(["auth", ...args, "--dir", dir]);
const init = (...args: string[]) => auth("init", "--port", String(port), ...args);
const creds = (name: string) => join(dir, "creds", `${name}.json`);
const read = (name: string) => JSON.parse(readFileSync(creds(name), "utf8"));
const options = (name: string) => ({
  servers: `nats://127.0.0.1:${port}`,
  name,
  credsFile: creds(name),
  connectTimeoutMs: 5_000,
});
const mode = (file: string) => (statSync(file).mode & 0o777).toString(8);

describe("R12.4: wasmatrix auth", () => {
  test("init makes one identity of each role, for their owner's eyes alone", async () => {
    const { code, out, errors } = await init("--json");
    expect([code, errors]).toEqual([0, ""]);
    const names = JSON.parse(out).identities.map(
      ({ role, id }: { role: string; id: string }) => `${role} ${id}`,
    );
    expect(names).toEqual([
      "control-plane cp-1",
      "node node-1",
      "observer observer",
      "operator operator",
      "provider providers-1",
    ]);
    const files = ["secrets.json", "nats.conf", "accounts.conf", "creds/node-node-1.json"];
    expect([mode(dir), ...files.map((file) => mode(join(dir, file)))]).toEqual([
      "700",
      "600",
      "600",
      "600",
      "600",
    ]);
    // Nothing secret is shown, and only public keys stand in the list.
    const { nats } = read("operator-operator");
    expect(out + readFileSync(join(dir, "identities.json"), "utf8")).not.toContain(nats);
    const { signing, roots } = read("control-plane-cp-1");
    const claims = readCertificate(signing.certificate, roots.map(verifyingKeyFrom), {
      lattice: "default",
      nowMs: Date.now(),
    });
    expect(claims).toMatchObject({ lattice: "default", controlPlane: "cp-1" });
    expect(await init()).toMatchObject({ code: 1, errors: expect.stringContaining("INVALID_REQUEST") });
  });

  test("the server takes the configuration, refuses strangers, and check says so", async () => {
    await init();
    await using _server = await startConfigured(join(dir, "nats.conf"));
    const { code, out } = await auth("check");
    expect(out).toMatch(/✔ strangers\s+refused/);
    expect(out).toMatch(/✔ credentials\s+5 of 5 sign in/);
    expect(code).toBe(0);
    chmodSync(creds("operator-operator"), 0o644);
    writeFileSync(join(dir, "accounts.conf"), "accounts {}\n");
    const after = await auth("check");
    expect(after.code).toBe(1);
    expect(after.out).toMatch(/✘ configuration\s+stale/);
    expect(after.out).toMatch(/✘ files\s+others may read/);
    expect(await auth("refresh")).toMatchObject({ code: 0 });
    expect((await auth("check")).out).toMatch(/✔ configuration/);
  });

  test("check finds a server that lets anybody in, and one that is not there", async () => {
    await init();
    const silent = await auth("check");
    expect([silent.code, silent.out]).toEqual([1, expect.stringMatching(/✘ server\s+.* is not reached/)]);
    await using open = await startNatsServer();
    const { code, out } = await commandLine(["--nats", open.url, "auth", "check", "--dir", dir]);
    expect([code, out]).toEqual([1, expect.stringMatching(/✘ strangers\s+anybody gets in/)]);
  });

  test("who is added is let in and who is revoked is put out, without the server being told by hand", async () => {
    await init();
    await using _server = await startConfigured(join(dir, "nats.conf"));
    const added = await auth("add", "node", "edge-7", "--hosts", "kv,sessions=kv", "--json");
    expect(JSON.parse(added.out)).toMatchObject({
      ok: true,
      creds: [creds("node-edge-7")],
      server: "counts",
    });
    expect(read("node-edge-7")).toMatchObject({ role: "node", id: "edge-7", hosts: ["kv", "sessions=kv"] });
    const statuses: string[] = [];
    const onStatus = ({ type }: { type: string }) => void statuses.push(type);
    const bus = await connectNats({ ...options("node-edge-7"), onStatus });
    onTestFinished(() => bus.close());
    expect(JSON.parse((await auth("revoke", "node", "edge-7", "--json")).out)).toMatchObject({
      server: "counts",
    });
    await vi.waitFor(() => expect(statuses).toContain("disconnected"));
    expect(existsSync(creds("node-edge-7"))).toBe(false);
    expect((await auth("list")).out).not.toContain("edge-7");
  });

  test("both keys count while somebody changes over, and the old one no more after --finish", async () => {
    await init();
    await using _server = await startConfigured(join(dir, "nats.conf"));
    const before = join(dir, "before.json");
    writeFileSync(before, readFileSync(creds("node-node-1")), { mode: 0o600 });
    const old = await connectNats({ ...options("node-node-1"), credsFile: before });
    onTestFinished(() => old.close());
    expect(await auth("rotate", "node", "node-1")).toMatchObject({ code: 0 });
    expect(await auth("rotate", "node", "node-1")).toMatchObject({ code: 1 });
    const fresh = await connectNats(options("node-node-1"));
    onTestFinished(() => fresh.close());
    await Promise.all([old.flush(), fresh.flush()]);
    expect(await auth("rotate", "node", "node-1", "--finish")).toMatchObject({ code: 0 });
    await vi.waitFor(() => expect(old.connected).toBe(false), { timeout: 5_000 });
    await fresh.flush();
    // A process that reads the file where it always was changes over by itself.
    writeFileSync(before, readFileSync(creds("node-node-1")), { mode: 0o600 });
    await vi.waitFor(() => expect(old.connected).toBe(true), { timeout: 5_000 });
  });

  test("of two roots everybody trusts both, and control planes are certified by the new one", async () => {
    await init();
    const [first] = read("node-node-1").roots;
    expect(await auth("rotate", "root")).toMatchObject({ code: 0 });
    const both = read("node-node-1").roots;
    expect([both.length, both[1]]).toEqual([2, first]);
    const { certificate } = read("control-plane-cp-1").signing;
    const certifiedBy = (root: string) =>
      readCertificate(certificate, [verifyingKeyFrom(root)], { lattice: "default", nowMs: Date.now() });
    expect(certifiedBy(both[0])).toMatchObject({ controlPlane: "cp-1" });
    expect(() => certifiedBy(first)).toThrow("no root");
    expect(await auth("rotate", "root", "--finish")).toMatchObject({ code: 0 });
    expect(read("node-node-1").roots).toEqual([both[0]]);
    expect(await auth("rotate", "root", "--finish")).toMatchObject({ code: 1 });
  });

  test("allow changes what somebody hosts, and keeps its keys", async () => {
    await init();
    const { nats } = read("node-node-1");
    expect(
      await auth("allow", "node", "node-1", "--hosts", "messaging", "--topics", "orders.>"),
    ).toMatchObject({ code: 0 });
    expect(read("node-node-1")).toMatchObject({
      nats,
      hosts: ["messaging"],
      application: expect.any(String),
    });
    expect(await auth("allow", "node", "node-1")).toMatchObject({ code: 0 });
    expect(read("node-node-1")).not.toHaveProperty("hosts");
  });

  test("P18: whoever must not be is not made", async () => {
    await init();
    const before = readFileSync(join(dir, "identities.json"), "utf8");
    const refused = [
      ["node", "*"],
      ["node", ">"],
      ["node", "a.b"],
      ["node", "n1\r\nSUB > 1"],
      ["node", "x".repeat(65)],
      ["node", "node-1"],
      ["provider", "node-1", "--hosts", "kv"],
      ["provider", "p9"],
      ["admin", "a"],
      ["operator", "o", "--hosts", "kv"],
      ["node", "n9", "--hosts", "kv.>"],
      ["node", "n9", "--hosts", "kv", "--topics", "orders.>"],
      ["node", "n9", "--hosts", "messaging", "--topics", "wasmatrix.>"],
      ["node", "n9", "--hosts", "messaging", "--topics", ">"],
    ];
    for (const args of refused) {
      const { code, errors } = await auth("add", ...args);
      expect([args, code, errors.split(":")[0]]).toEqual([args, 1, "INVALID_REQUEST"]);
    }
    expect(readFileSync(join(dir, "identities.json"), "utf8")).toBe(before);
    expect(await auth("revoke", "node", "nobody")).toMatchObject({ code: 1 });
    expect(await commandLine(["auth", "list", "--dir", join(dir, "elsewhere")])).toMatchObject({ code: 1 });
  });

  test("what somebody else is changing is left alone, and what a dead process held is not", async () => {
    await init();
    writeFileSync(join(dir, "lock"), String(process.pid));
    const held = await auth("add", "node", "n2");
    expect([held.code, held.errors]).toEqual([1, expect.stringContaining("RESOURCE_EXHAUSTED")]);
    writeFileSync(join(dir, "lock"), "4194304");
    expect(await auth("add", "node", "n2")).toMatchObject({ code: 0 });
  });
});

describe("R13.6: whoever is not let in is told why, and ends with 3", () => {
  const commands = [["nodes"], ["node"], ["control-plane"], ["provider", "kv"]];

  test("wrong, missing, revoked and unreadable credentials, for a command and each part", async () => {
    await init();
    await using _server = await startConfigured(join(dir, "nats.conf"));
    const nats = `nats://127.0.0.1:${port}`;
    const garbage = join(dir, "garbage.json");
    writeFileSync(garbage, '{"version":1,"nats":"SUSECRET"}', { mode: 0o600 });
    const revoked = join(dir, "revoked.json");
    await auth("add", "operator", "gone");
    writeFileSync(revoked, readFileSync(creds("operator-gone")), { mode: 0o600 });
    await auth("revoke", "operator", "gone");
    for (const command of commands) {
      const run = (...flags: string[]) => commandLine(["--nats", nats, ...flags, ...command]);
      expect(await run()).toMatchObject({ code: 3, errors: expect.stringContaining("without credentials") });
      expect(await run("--creds", "/nowhere/a.json")).toMatchObject({
        code: 3,
        errors: expect.stringContaining("no such file"),
      });
      const broken = await run("--creds", garbage);
      expect(broken).toMatchObject({ code: 3, errors: expect.stringContaining("INVALID_REQUEST") });
      expect(broken.errors).not.toContain("SUSECRET");
    }
    expect(await commandLine(["--nats", nats, "--creds", revoked, "nodes"])).toMatchObject({
      code: 3,
      errors: expect.stringMatching(/COMMUNICATION_FAILURE.*refuses the credentials[^]*revoked/),
    });
  });

  test("the credentials of another role, id or lattice", async () => {
    await init();
    await using _server = await startConfigured(join(dir, "nats.conf"));
    const run = (...args: string[]) => commandLine(["--nats", `nats://127.0.0.1:${port}`, ...args]);
    const operator = ["--creds", creds("operator-operator")];
    const node = ["--creds", creds("node-node-1")];
    for (const part of [["node"], ["control-plane"], ["provider", "kv"]])
      expect(await run(...operator, ...part)).toMatchObject({
        code: 3,
        errors: expect.stringMatching(/credentials of the operator operator[^]*wasmatrix auth add/),
      });
    expect(await run(...node, "node", "--id", "n2")).toMatchObject({
      code: 3,
      errors: expect.stringContaining("credentials of node-1"),
    });
    expect(await run(...operator, "--lattice", "other", "nodes")).toMatchObject({
      code: 3,
      errors: expect.stringContaining("is for lattice default"),
    });
    // A node may ask nobody for a list; the server says so, and what to do.
    const lists = await run(...node, "nodes");
    expect([lists.code, lists.errors]).toEqual([
      1,
      expect.stringMatching(/PERMISSION_DENIED[^]*credentials of another role/),
    ]);
  });

  test("R12.4: a part with credentials does not start where anybody gets in without", async () => {
    await init();
    await using open = await startNatsServer();
    const started = await commandLine(["--nats", open.url, "--creds", creds("node-node-1"), "node"]);
    expect([started.code, started.errors]).toEqual([
      1,
      expect.stringMatching(/PERMISSION_DENIED.*lets anybody in[^]*nats\.conf/),
    ]);
  });
});
