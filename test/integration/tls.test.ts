import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "../../cli/up/nats-part.ts";
import { buildExamples } from "../../scripts/build-examples.ts";
import { startConfigured } from "../support/auth-server.ts";
import { commandLine } from "../support/command-line.ts";
import { endWithUs, startNatsServer } from "../support/nats-server.ts";
import { createTlsAuthority, type TlsAuthority } from "../support/tls-authority.ts";

const { counter } = await buildExamples(["counter"]);

async function secured(...more: string[]) {
  const tls = createTlsAuthority();
  const home = mkdtempSync(join(tmpdir(), "wasmatrix-tls-auth-"));
  onTestFinished(() => {
    tls[Symbol.dispose]();
    rmSync(home, { recursive: true, force: true });
  });
  const dir = join(home, "auth");
  const port = await freePort("--port", undefined, []);
  const { cert, key } = tls.issue("server");
  const server = ["--tls-ca", tls.ca, "--tls-cert", cert, "--tls-key", key];
  const made = await commandLine([...server, "auth", "init", "--dir", dir, "--port", String(port), ...more]);
  expect(made).toMatchObject({ code: 0, errors: "" });
  return {
    tls,
    home,
    dir,
    url: `tls://127.0.0.1:${port}`,
    creds: (name: string) => join(dir, "creds", `${name}.json`),
  };
}

function clientFlags(tls: TlsAuthority): string[] {
  const { cert, key } = tls.issue("client");
  return ["--tls-ca", tls.ca, "--tls-cert", cert, "--tls-key", key];
}

test(
  "R12.4: mutual TLS for a whole lattice: its parts, their engines and providers, and commands",
  { timeout: 90_000 },
  async () => {
    const { tls, home, dir, url, creds } = await secured("--tls-verify");
    await using _server = await startConfigured(join(dir, "nats.conf"));
    const flags = ["--nats", url, ...clientFlags(tls)];
    const part = async (name: string, ...args: string[]) => {
      const child = spawn(
        process.execPath,
        ["cli/main.ts", ...flags, "--creds", creds(name), ...args, "--end-with-stdin"],
        { stdio: ["pipe", "ignore", "pipe", "ipc"], env: { ...process.env, XDG_CACHE_HOME: home } },
      );
      endWithUs(child);
      child.stdin?.on("error", () => undefined);
      let words = "";
      child.stderr?.setEncoding("utf8").on("data", (text: string) => (words += text));
      const ended = once(child, "exit").then(() => Promise.reject(new Error(`${name} ended:\n${words}`)));
      ended.catch(() => undefined);
      await Promise.race([once(child, "message"), ended]);
      onTestFinished(async () => {
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      });
    };
    await Promise.all([
      part("control-plane-cp-1", "control-plane"),
      part("node-node-1", "node"),
      part("provider-providers-1", "provider", "kv", "--backend", "nats"),
    ]);
    const run = (...args: string[]) =>
      commandLine([...flags, "--creds", creds("operator-operator"), ...args]);
    const started = await run(
      "start",
      counter.path,
      "--name",
      "counter",
      "--grant",
      "store=kv:read,kv:write",
    );
    expect(started).toMatchObject({ code: 0, errors: "" });
    expect(await run("call", "counter", "increment", "5")).toMatchObject({ code: 0, out: "5" });
  },
);

test("R13.6: who is not vouched for, does not vouch, or speaks in the clear ends with 3", async () => {
  const { tls, dir, url, creds } = await secured("--tls-verify");
  await using _server = await startConfigured(join(dir, "nats.conf"));
  const run = (...args: string[]) => commandLine(["--creds", creds("operator-operator"), ...args, "nodes"]);
  using foreign = createTlsAuthority();
  const without = await run("--nats", url, "--tls-ca", tls.ca);
  const notBelieved = await run("--nats", url, ...clientFlags(foreign));
  const noFile = await run("--nats", url, "--tls-ca", "/nowhere/ca.pem");
  expect([without.code, notBelieved.code, noFile.code]).toEqual([3, 3, 3]);
  expect(noFile.errors).toContain("/nowhere/ca.pem");
  await using open = await startNatsServer();
  for (const flags of [
    ["--nats", open.url, "--tls-ca", tls.ca],
    ["--nats", open.url.replace("nats:", "tls:")],
  ])
    expect(await run(...flags)).toMatchObject({ code: 3, errors: expect.stringContaining("'tls'") });
  // Nothing secret of the files is shown.
  expect(without.errors + notBelieved.errors).not.toContain(
    readFileSync(tls.issue("x").key, "utf8").split("\n")[1],
  );
});
