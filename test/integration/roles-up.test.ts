import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { freePort } from "../../cli/up/nats-part.ts";
import { buildExamples } from "../../scripts/build-examples.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { commandLine } from "../support/command-line.ts";
import { endWithUs } from "../support/nats-server.ts";

const { counter, crasher, web } = await buildExamples(["counter", "crasher", "web"]);
const { "hello-http": bodies } = await buildExamples(["hello-http"]);

let home: string;
let up: ChildProcess;
let said: { nats: string; http: string; state: string; logs: string; creds: string };
/** Everything that anybody was shown. */
const words: string[] = [];

const env = () => ({ XDG_STATE_HOME: home, XDG_CACHE_HOME: home });
async function run(...args: string[]) {
  const done = await commandLine(["--nats", said.nats, ...args], env());
  words.push(done.out, done.errors);
  return done;
}
function program(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, ["cli/main.ts", ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env() },
  });
  endWithUs(child);
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => words.push(text));
  return child;
}
const file = (name: string) => join(said.state, "auth", "creds", `${name}.json`);

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "wasmatrix-roles-"));
  // Ports of its own: another test's `up` may take the usual ones at the same moment.
  const [port, httpPort] = await Promise.all(
    ["--port", "--http-port"].map((flag) => freePort(flag, undefined, [])),
  );
  const ports = ["--port", String(port), "--http-port", String(httpPort)];
  up = program("--json", "up", "--state", join(home, "state"), ...ports);
  if (up.stdout === null) throw new Error("no stdout");
  for await (const line of createInterface({ input: up.stdout })) {
    said = JSON.parse(line);
    break;
  }
  if (said === undefined) throw new Error(`up ended:\n${words.join("")}`);
  // A reader of lines that is done leaves its stream paused.
  up.stdout.resume();
}, 90_000);

afterAll(async () => {
  const ended = once(up, "exit");
  up.kill("SIGINT");
  await ended;
  rmSync(home, { recursive: true, force: true });
}, 60_000);

describe("R12.4: a lattice of this machine has roles", () => {
  test(
    "its user's commands find their credentials, and nobody else gets in",
    { timeout: 60_000 },
    async () => {
      expect(await run("nodes")).toMatchObject({ code: 0, out: expect.stringContaining("node-1") });
      const stranger = await commandLine(["--nats", said.nats, "nodes"], {
        XDG_STATE_HOME: join(home, "other"),
      });
      expect(stranger).toMatchObject({ code: 3, errors: expect.stringContaining("without credentials") });
      expect((await run("auth", "check", "--dir", join(said.state, "auth"))).code).toBe(0);
    },
  );

  test("guests run, are granted and refused, crash and answer HTTP", { timeout: 60_000 }, async () => {
    const store = ["--grant", "store=kv:read,kv:write"];
    expect(await run("start", counter.path, "--name", "counter", ...store)).toMatchObject({ code: 0 });
    expect(await run("call", "counter", "increment", "5")).toMatchObject({ out: "5" });
    expect(await run("revoke", "counter", "store")).toMatchObject({ code: 0 });
    expect(await run("call", "counter", "get")).toMatchObject({ code: 1 });
    expect(await run("start", crasher.path, "--name", "crasher", "--restart", "always")).toMatchObject({
      code: 0,
    });
    expect(await run("call", "crasher", "trap")).toMatchObject({ code: 1 });
    expect(
      await run("start", web.path, "--name", "web", "--grant", "web=http-server:serve?path=/"),
    ).toMatchObject({
      code: 0,
    });
    await vi.waitFor(async () => expect((await fetch(`${said.http}/hello`)).status).toBe(200), {
      timeout: 10_000,
    });
    expect((await run("facts", "--limit", "500")).code).toBe(0);
  });

  test("bodies that fit no message travel both ways", { timeout: 60_000 }, async () => {
    const granted = ["--grant", "web=http-server:serve?path=/bodies"];
    expect(await run("start", bodies.path, "--name", "bodies", ...granted)).toMatchObject({ code: 0 });
    const body = Uint8Array.from({ length: 700_000 }, (_, index) => index % 251);
    await vi.waitFor(
      async () => {
        const answer = await fetch(`${said.http}/bodies`, { method: "POST", body });
        expect(Buffer.from(await answer.arrayBuffer()).equals(body)).toBe(true);
      },
      { timeout: 20_000 },
    );
  });

  test("a node that its user starts beside it gets an identity of its own", { timeout: 60_000 }, async () => {
    const node = program("--nats", said.nats, "node", "--id", "second", "--end-with-stdin");
    await vi.waitFor(async () => expect((await run("nodes")).out).toContain("second"), { timeout: 30_000 });
    await vi.waitFor(async () => expect((await run("scale", "web", "3")).code).toBe(0), { timeout: 20_000 });
    expect((await run("drain", "second")).code).toBe(0);
    const gone = once(node, "exit");
    node.stdin?.end();
    expect((await gone)[0]).toBe(0);
    expect((await run("auth", "list", "--dir", join(said.state, "auth"))).out).toMatch(/node\s+second/);
  });

  test("nothing that its parts do is refused by the server", () => {
    const log = readFileSync(join(said.logs, "nats-server.log"), "utf8");
    expect(log.split("\n").filter((line) => /violation/i.test(line))).toEqual([]);
  });

  test(
    "what is refused becomes a fact of whoever tried, and shows in the list of nodes",
    { timeout: 30_000 },
    async () => {
      const bus = await connectNats({
        servers: said.nats,
        name: "attacker",
        credsFile: file("operator-operator"),
        connectTimeoutMs: 5_000,
      });
      // The node answers to where it is told, as itself; the server does not carry it.
      const replyTo = "_INBOX.observer.observer.x";
      bus.publish("wasmatrix.call.v1.default.web.nothing", new Uint8Array(0), { replyTo });
      await bus.flush();
      await vi.waitFor(
        async () => {
          const facts = await run("facts", "--kind", "bus.refused", "--json");
          expect(facts.out).toContain('"subject":"_INBOX.observer.observer.>"');
        },
        { timeout: 10_000 },
      );
      await vi.waitFor(async () => expect((await run("nodes")).out).toMatch(/the bus refused it \d+ time/), {
        timeout: 10_000,
      });
      await bus.close();
    },
  );

  test(
    "no seed and no password is in a log, a fact, an error, a command line or an environment",
    { timeout: 30_000 },
    async () => {
      await run("--creds", file("node-node-1"), "nodes");
      await run("--creds", file("node-node-1"), "control-plane");
      const secrets = secretsBelow(join(said.state, "auth"));
      expect(secrets.length).toBeGreaterThanOrEqual(12);
      const logs = readdirSync(said.logs).map((name) => readFileSync(join(said.logs, name), "utf8"));
      const processes = processesBelow(up.pid ?? 0);
      expect(processes.length).toBeGreaterThan(6);
      const shown = [...words, ...logs, ...processes].join("\n");
      expect(secrets.filter((secret) => shown.includes(secret))).toEqual([]);
    },
  );
});

/** Every secret of a folder of `wasmatrix auth`. */
function secretsBelow(path: string): string[] {
  const all = readdirSync(join(path, "creds")).flatMap((name) => {
    const { nats, application, signing } = JSON.parse(readFileSync(join(path, "creds", name), "utf8"));
    return [nats, application, signing?.seed];
  });
  const { roots, routePassword } = JSON.parse(readFileSync(join(path, "secrets.json"), "utf8"));
  const seeds = roots.map(({ seed }: { seed: string }) => seed);
  return [...all, ...seeds, routePassword].filter((secret) => secret !== undefined);
}

/** Command line and environment of a process and all below it. */
function processesBelow(pid: number): string[] {
  const own = ["cmdline", "environ"].map((name) => readFileSync(`/proc/${pid}/${name}`, "latin1")).join(" ");
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
  return [own, ...children.flatMap(processesBelow)];
}
