import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { ask } from "../../src/bus/ask.ts";
import type { Client } from "../../src/client/client.ts";
import { pullLimits } from "../../src/limits.ts";
import { registryUser, startDockerRegistry } from "../support/docker-registry.ts";
import { type LatticeProcesses, type PartProcess, startProcesses } from "../support/lattice-processes.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { leb, name } from "../support/wasm-bytes.ts";

const { echo } = await buildExamples(["echo"]);
const echoBytes = new Uint8Array(readFileSync(echo.path));
const MiB = 1024 * 1024;
const patience = { timeout: 30_000, interval: 50 };
const digestOf = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** The echo guest with a custom section that makes it as large as that. */
function largeGuest(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const rest = randomBytes(sizeBytes - echoBytes.length);
  const title = name("padding");
  return new Uint8Array(
    Buffer.concat([echoBytes, Buffer.from([0, ...leb(title.length + rest.length), ...title]), rest]),
  );
}

async function say(client: Client, target: string): Promise<string> {
  return new TextDecoder().decode(await client.call(target, "say", new TextEncoder().encode("hello")));
}

const node = (lattice: LatticeProcesses, id: string, ...flags: string[]) =>
  lattice.start(id, "node", "--cells", "1", ...flags);

const holdersOf = async (client: Client, digest: string) =>
  (await client.modules()).modules.find((one) => one.digest === digest)?.holders ?? [];

/** The most memory that a process ever had, bytes. */
function peakBytes({ pid }: PartProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

describe("R11.4: modules on their way", () => {
  test(
    "100 MB are stored, pulled by another node and started, in bounded memory",
    { timeout: 120_000 },
    async () => {
      await using lattice = await startProcesses();
      const { client } = lattice;
      const plane = await lattice.start("cp-1", "control-plane");
      const first = await node(lattice, "n1");
      const bytes = largeGuest(100_000_000);
      const digest = digestOf(bytes);
      let told = 0;
      const stored = await client.putModule(bytes, (done) => void (told = done));
      expect([stored.digest, stored.holders, told]).toEqual([digest, ["n1"], bytes.length]);

      const second = await node(lattice, "n2", "--label", "which=second");
      // What a process needs once for whatever passes through it, buffers and code.
      const warm = await client.putModule(largeGuest(30_000_000));
      await client.start({
        module: { digest: warm.digest },
        instanceId: "warm",
        requires: { which: "second" },
      });
      const before = [plane, first, second].map(peakBytes);
      // However many starts ask for it, it is fetched once: they share what comes.
      const starts = ["a", "b", "c"].map((instanceId) =>
        client.start({ module: { digest }, instanceId, requires: { which: "second" } }),
      );
      const started = await Promise.all(starts);
      expect(started.flat().map((one) => one.nodeId)).toEqual(["n2", "n2", "n2"]);
      const grown = [plane, first, second].map((part, index) => peakBytes(part) - (before[index] ?? 0));
      expect(grown.map((one) => one < 48 * MiB)).toEqual([true, true, true]);
      expect(await say(client, "b")).toBe("hello");
      expect(await holdersOf(client, digest)).toEqual(["n1", "n2"]);
    },
  );

  test(
    "P12, R8.2: a module that was started on one node survives that node",
    { timeout: 60_000 },
    async () => {
      await using lattice = await startProcesses();
      const { client } = lattice;
      await lattice.start("cp-1", "control-plane");
      const nodes = new Map(
        await Promise.all(["n1", "n2"].map(async (id) => [id, await node(lattice, id)] as const)),
      );
      const module = { bytes: echoBytes };
      const [one] = await client.start({ module, instanceId: "one", onNodeLoss: "relocate" });
      await vi.waitFor(
        async () => expect(await holdersOf(client, digestOf(echoBytes))).toHaveLength(2),
        patience,
      );
      await nodes.get(one?.nodeId ?? "")?.signal("SIGKILL");
      await vi.waitFor(async () => {
        const { instance } = await client.query("one");
        expect([instance.status, instance.incarnation]).toEqual(["running", 2]);
      }, patience);
      expect(await say(client, "one")).toBe("hello");
    },
  );

  test(
    "a pull goes on with the other holders when one says nothing any more",
    { timeout: 60_000 },
    async () => {
      await using lattice = await startProcesses();
      const { client } = lattice;
      await lattice.start("cp-1", "control-plane");
      const [first] = [await node(lattice, "n1"), await node(lattice, "n2")];
      const bytes = largeGuest(30_000_000);
      const { digest, holders } = await client.putModule(bytes);
      expect(holders).toEqual(["n1", "n2"]);
      await node(lattice, "n3");
      const question = { digest, holders };
      const to = { lattice: "default", node: "n3" };
      const beganMs = performance.now();
      const pulling = ask(client.bus, "node.module.pull", to, question, { timeoutMs: 30_000 });
      // Frozen, not dead: nobody says that it does not listen any more.
      await first.signal("SIGSTOP");
      expect(await pulling).toMatchObject({ sizeBytes: bytes.length });
      // What it owes is asked of the other long before its time is up.
      expect(performance.now() - beganMs).toBeLessThan(pullLimits.pieceTimeoutMs);
      await first.signal("SIGKILL");
    },
  );

  test("P18, R13.6: what exceeds the bus fails at once and says so, and modules still pass in small pieces", async () => {
    await using server = await startNatsServer({ config: "max_payload: 65536" });
    await using lattice = await startProcesses(server.url);
    const { client } = lattice;
    await lattice.start("cp-1", "control-plane");
    await node(lattice, "n1");
    const bytes = largeGuest(3_000_000);
    const { digest } = await client.putModule(bytes);
    await node(lattice, "n2", "--label", "which=second");
    await client.start({ module: { digest }, instanceId: "one", requires: { which: "second" } });
    expect(await say(client, "one")).toBe("hello");
    const oversized = client.call("one", "say", new Uint8Array(65_537));
    await expect(oversized).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE", retry: "never" });
  });

  test(
    "the least recently used go when the cache is full, and never what runs",
    { timeout: 60_000 },
    async () => {
      await using lattice = await startProcesses();
      const { client } = lattice;
      await lattice.start("cp-1", "control-plane");
      await node(lattice, "n1", "--modules-max", "5MiB");
      const [running, idle, last] = [largeGuest(3 * MiB), largeGuest(2 * MiB), largeGuest(2 * MiB)];
      await client.start({ module: { bytes: running }, instanceId: "one" });
      await client.putModule(idle);
      await client.putModule(last);
      await vi.waitFor(async () => {
        const held = (await client.modules()).modules.map((one) => one.digest);
        expect(new Set(held)).toEqual(new Set([digestOf(running), digestOf(last)]));
      }, patience);
      expect(await say(client, "one")).toBe("hello");
    },
  );
});

describe("R11.4: modules of a registry", () => {
  test(
    "all nodes run what the tag meant at the start, also after the registry's tag moved",
    { timeout: 90_000 },
    async () => {
      await using registry = await startDockerRegistry({ auth: true });
      await using lattice = await startProcesses();
      const { client } = lattice;
      const directory = mkdtempSync(join(tmpdir(), "wasmatrix-credentials-"));
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
      const credentials = join(directory, "config.json");
      writeFileSync(credentials, JSON.stringify({ auths: { [registry.host]: registryUser } }));
      const [bytes, other] = [largeGuest(2 * MiB), largeGuest(2 * MiB)];
      const push = (content: Uint8Array<ArrayBuffer>) =>
        registry.push("guests/echo", "v1", [{ mediaType: "application/wasm", bytes: content }]);
      const manifest = await push(bytes);
      await lattice.start("cp-1", "control-plane");
      const nodes = new Map<string, PartProcess>();
      for (const id of ["n1", "n2"])
        nodes.set(id, await node(lattice, id, "--registry-credentials", credentials));
      const oci = `${registry.host}/guests/echo:v1`;
      const started = await client.start({ module: { oci }, name: "echo", count: 4, onNodeLoss: "relocate" });
      expect(started.map((one) => one.moduleHash)).toEqual(started.map(() => digestOf(bytes)));
      expect(new Set(started.map((one) => one.nodeId))).toEqual(new Set(["n1", "n2"]));

      await push(other);
      const scaled = await client.scale("echo", 6);
      expect(new Set(scaled.map((one) => one.moduleHash))).toEqual(new Set([digestOf(bytes)]));
      const [first] = started;
      const { instance } = await client.query(first?.instanceId ?? "");
      expect(instance.moduleSource).toBe(`${registry.host}/guests/echo@${manifest}`);
      expect(await say(client, "echo")).toBe("hello");

      // What nobody holds any more is fetched again from where it came: both caches are lost with their nodes.
      await node(lattice, "n3", "--registry-credentials", credentials, "--label", "new=yes");
      for (const part of nodes.values()) await part.signal("SIGKILL");
      await vi.waitFor(async () => {
        const { instance: moved } = await client.query(first?.instanceId ?? "");
        expect([moved.nodeId, moved.status]).toEqual(["n3", "running"]);
      }, patience);
      for (const part of nodes.values()) expect(part.log()).not.toContain(registryUser.password);
      const facts = JSON.stringify(await client.latestFacts({ limit: 1_000 }));
      expect(facts.includes(registryUser.password) || facts.includes(registryUser.username)).toBe(false);
    },
  );

  test(
    "a node that is let in does it where another is not; without one the reason comes back",
    { timeout: 60_000 },
    async () => {
      await using registry = await startDockerRegistry({ auth: true });
      await using lattice = await startProcesses();
      const { client } = lattice;
      const directory = mkdtempSync(join(tmpdir(), "wasmatrix-credentials-"));
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
      const credentials = join(directory, "config.json");
      writeFileSync(credentials, JSON.stringify({ auths: { [registry.host]: registryUser } }));
      await registry.push("echo", "v1", [{ mediaType: "application/wasm", bytes: echoBytes }]);
      await lattice.start("cp-1", "control-plane");
      await node(lattice, "n1");
      const oci = `${registry.host}/echo:v1`;
      await expect(client.start({ module: { oci }, instanceId: "one" })).rejects.toMatchObject({
        code: "PERMISSION_DENIED",
        message: expect.stringContaining(oci),
      });
      await node(lattice, "n2", "--registry-credentials", credentials);
      // n2 pulls it, and n1 gets it from there or is passed over.
      const started = await client.start({ module: { oci }, name: "echo", count: 2 });
      expect(started.map((one) => one.status)).toEqual(["running", "running"]);
      expect(await say(client, "echo")).toBe("hello");
    },
  );

  test("P18, R13.5: a reference that is none, and a tag that is not there, are said before anything is done", async () => {
    await using registry = await startDockerRegistry();
    await using lattice = await startProcesses();
    const { client } = lattice;
    await lattice.start("cp-1", "control-plane");
    await node(lattice, "n1");
    await expect(client.start({ module: { oci: "no-registry" } })).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
    const oci = `${registry.host}/nothing:v1`;
    await expect(client.start({ module: { oci }, instanceId: "one" })).rejects.toMatchObject({
      code: "MODULE_NOT_FOUND",
      message: expect.stringContaining(oci),
    });
    await expect(client.query("one")).rejects.toMatchObject({ code: "INSTANCE_NOT_FOUND" });
  });
});
