import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { connect } from "../../src/client/client.ts";

const { echo } = await buildExamples(["echo"]);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test(
  "R3.5, P2: `up` survives kill -9 of its control plane under 1,000 instances, and Ctrl-C leaves no orphan",
  { timeout: 90_000 },
  async () => {
    const state = mkdtempSync(join(tmpdir(), "wasmatrix-up-"));
    const up = spawn(process.execPath, ["cli/main.ts", "--json", "up", "--state", state], {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, XDG_STATE_HOME: state },
    });
    try {
      const { nats, creds } = await firstLine(up);
      const client = await connect({ servers: nats, lattice: "default", credsFile: creds });
      const bytes = new Uint8Array(readFileSync(echo.path));
      const started = await client.start({
        module: { bytes },
        name: "many",
        count: 1_000,
        restartPolicy: { type: "always" },
        capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read"] }],
      });
      const ids = started.map((one) => one.instanceId);

      const [controlPlane] = processesBelow(up.pid ?? 0).filter((one) =>
        one.command.includes("control-plane"),
      );
      process.kill(controlPlane?.pid ?? 0, "SIGKILL");
      const answers = await Promise.all(
        ids.map(async (id) => text(await client.call(id, "go", new TextEncoder().encode("unmoved")))),
      );
      expect(new Set(answers)).toEqual(new Set(["unmoved"]));

      const { instance } = await vi.waitFor(() => client.query(ids[0] ?? ""), { timeout: 20_000 });
      await vi.waitFor(async () => expect((await client.query(ids[0] ?? "")).view.complete).toBe(true), {
        timeout: 20_000,
      });
      expect(instance).toMatchObject({
        status: "running",
        restarts: 0,
        restartPolicy: { type: "always" },
        capabilities: [{ capabilityId: "store", permissions: ["kv:read"] }],
      });
      const known = new Set<string>();
      for await (const one of client.list({ name: "many" })) known.add(one.instanceId);
      expect(known).toEqual(new Set(ids));
      await client.close();

      const children = processesBelow(up.pid ?? 0);
      expect(children.map((one) => one.command).join("\n")).toMatch(/nats-server[^]*engine-main/);
      const ended = once(up, "exit");
      up.kill("SIGINT");
      expect((await ended)[0]).toBe(0);
      await vi.waitFor(() => expect(children.filter((one) => isAlive(one.pid))).toEqual([]));
    } finally {
      up.kill("SIGKILL");
      rmSync(state, { recursive: true, force: true });
    }
  },
);

async function firstLine(child: ChildProcess): Promise<{ nats: string; creds: string }> {
  if (child.stdout === null) throw new Error("no stdout");
  for await (const line of createInterface(child.stdout))
    return JSON.parse(line) as { nats: string; creds: string };
  throw new Error("it ended without a word");
}

/** All descendants, from `/proc`. */
function processesBelow(root: number): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const child of childrenOf(root)) {
    const command = readFileSync(`/proc/${child}/cmdline`, "utf8").replaceAll("\0", " ");
    found.push({ pid: child, command }, ...processesBelow(child));
  }
  return found;
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}

/** A process that ended but was not waited for yet is none. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
