import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";
import { processTraces } from "../support/process-traces.ts";
import { wat } from "../support/wat.ts";

const { "sdk-check": example } = await buildExamples(["sdk-check"]);
const exampleBytes = readFileSync(example.path);

let lattice: TestLattice;
const modules = new Map<string, Uint8Array>();
beforeAll(async () => {
  lattice = await startLattice();
  await lattice.controlPlane("cp1");
  await lattice.kvProvider("kv1");
  await lattice.node("n1");
  await put(exampleBytes);
});
afterAll(() => lattice[Symbol.asyncDispose]());

type Step = "set" | "increment" | "list" | "log" | "throw" | "restart" | "module" | "assign";

test("P7, P15, R6, R10.4: whatever is done on one node, its disk holds modules under their digests and nothing else, and only NATS is spoken to", async () => {
  const step = fc.constantFrom<Step>(
    "set",
    "increment",
    "list",
    "log",
    "throw",
    "restart",
    "module",
    "assign",
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), fc.nat(), async (steps, seed) => {
      const before = files();
      const held = new Set(modules.keys());
      const instanceId = freshId("disk");
      const secret = freshId("secret");
      await done(lattice, "instance.start", {
        module: { digest: digestOf(exampleBytes) },
        instanceId,
        config: { secret },
        restartPolicy: { type: "always" },
        capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] }],
      });
      for (const [index, one] of steps.entries()) await perform(one, instanceId, secret, seed + index);

      const grown = [...modules.keys()].filter((digest) => !held.has(digest)).map(fileOf);
      expect(files()).toEqual([...before, ...grown].toSorted());
      expect(files()).toEqual([...modules.keys()].map(fileOf).toSorted());
      for (const [digest, bytes] of modules) {
        const kept = readFileSync(join(lattice.directory, fileOf(digest)));
        expect(digestOf(kept)).toBe(digest);
        expect(kept.equals(bytes)).toBe(true);
        expect([kept.includes(secret), kept.includes(instanceId)]).toEqual([false, false]);
      }
      expectTraces();
      await done(lattice, "instance.stop", { instanceId });
    }),
    { numRuns: 100 },
  );
  // Without these the property would say little: the files were there, and some of them are new.
  expect(modules.size).toBeGreaterThan(10);
  expect(await lattice.command("module.list", {})).toMatchObject({
    ok: true,
    modules: { length: modules.size },
  });
});

async function perform(step: Step, instanceId: string, secret: string, seed: number): Promise<void> {
  if (step === "restart") await done(lattice, "instance.restart", { instanceId });
  else if (step === "module")
    await put(wat(`(module (func (export "run") (drop (i32.const ${seed % 2 ** 31}))))`));
  else if (step === "assign") {
    const assignment = {
      capabilityId: "more",
      providerType: "kv",
      permissions: ["kv:read"],
      config: { bucket: secret },
    };
    await done(lattice, "capability.assign", { instanceId, assignment });
  } else if (step === "throw") {
    expect(await lattice.call(instanceId, "throw", secret)).toMatchObject({ code: "GUEST_TRAPPED" });
    // Its policy brings it back; a call waits nowhere, so this one asks until it is there.
    await expect
      .poll(() => lattice.call(instanceId, "log", secret).catch(() => ""), { interval: 1 })
      .toBe(secret);
  } else {
    const payload = { set: `${secret}=${secret}`, increment: `n-${secret}=1`, list: secret, log: secret }[
      step
    ];
    expect(await lattice.call(instanceId, step, payload)).toBeTypeOf("string");
  }
}

/** Every process is one that is meant to be, writes to no file, and has no peer but the server; so there is no etcd. */
function expectTraces(): void {
  const { programs, written, peerPorts } = processTraces(process.pid);
  // The engine and the server; a shell with its `cat` ends the server should the test be killed.
  expect(programs).toEqual(["cat", "nats-server", "node", "sh"]);
  expect(written.filter((path) => !path.startsWith("/dev/") && !path.startsWith("/proc/"))).toEqual([]);
  // The server's own connections lead to the ports of its clients.
  expect(peerPorts).toContain(lattice.server.port);
  expect(peerPorts.filter((port) => port === 2379 || port === 2380)).toEqual([]);
}

async function put(bytes: Uint8Array): Promise<void> {
  const answer = await done(lattice, "module.put", { bytes: Buffer.from(bytes).toString("base64") });
  expect(answer).toMatchObject({ digest: digestOf(bytes), complete: true });
  modules.set(digestOf(bytes), bytes);
}

/** Every file of every node, below the lattice's directory. */
function files(): string[] {
  return readdirSync(lattice.directory, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(lattice.directory, path)).isFile())
    .toSorted();
}

function fileOf(digest: string): string {
  return join("n1", `${digest.slice("sha256:".length)}.wasm`);
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
