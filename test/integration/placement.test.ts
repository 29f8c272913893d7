import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { Client } from "../../src/client/client.ts";
import { type LatticeProcesses, startProcesses } from "../support/lattice-processes.ts";

const { echo } = await buildExamples(["echo"]);
const module = { bytes: new Uint8Array(readFileSync(echo.path)) };
const patience = { timeout: 30_000, interval: 50 };

async function places(client: Client, name?: string): Promise<Record<string, number>> {
  const found = new Map<string, number>();
  for await (const one of client.list(name === undefined ? {} : { name }))
    if (one.status === "running") found.set(one.nodeId, (found.get(one.nodeId) ?? 0) + 1);
  return Object.fromEntries([...found].toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

async function nodes(lattice: LatticeProcesses, zones: Record<string, string>): Promise<void> {
  await Promise.all(
    Object.entries(zones).map(([id, zone]) =>
      lattice.start(id, "node", "--cells", "1", "--label", `zone=${zone}`),
    ),
  );
}

/** What the command line prints, and with which code it ends. */
function cli(lattice: LatticeProcesses, ...args: string[]): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["cli/main.ts", "--nats", lattice.url, ...args],
      { env: { ...process.env, NO_COLOR: "1" } },
      (error, out) => resolve({ code: error === null ? 0 : Number(error.code), out }),
    );
  });
}

describe("R11: placement on real nodes", () => {
  test("1,000 instances by one command come out even over 5 nodes", { timeout: 90_000 }, async () => {
    await using lattice = await startProcesses();
    const { client } = lattice;
    await lattice.start("cp-1", "control-plane", "--expect-nodes", "n1,n2,n3,n4,n5");
    await nodes(lattice, { n1: "eu", n2: "eu", n3: "eu", n4: "us", n5: "us" });
    await client.start({ module, name: "many", count: 1_000 });
    expect(await places(client, "many")).toEqual({ n1: 200, n2: 200, n3: 200, n4: 200, n5: 200 });
    await client.start({ module, name: "zoned", count: 12, spread: "zone" });
    expect(await places(client, "zoned")).toEqual({ n1: 2, n2: 2, n3: 2, n4: 3, n5: 3 });
    await client.scale("zoned", 24);
    expect(await places(client, "zoned")).toEqual({ n1: 4, n2: 4, n3: 4, n4: 6, n5: 6 });
    const { view, nodes: known } = await client.nodes();
    expect(view).toEqual({ complete: true, gaps: [], asOf: view.asOf });
    await vi.waitFor(async () => {
      for (const { cpu, memoryFreeBytes } of (await client.nodes()).nodes) {
        expect(cpu).toBeGreaterThanOrEqual(0);
        expect(cpu).toBeLessThanOrEqual(1);
        expect(memoryFreeBytes).toBeGreaterThan(0);
      }
    }, patience);
    expect(known).toHaveLength(5);
  });

  test("a dry run prints the plan that the start then follows", { timeout: 60_000 }, async () => {
    await using lattice = await startProcesses();
    const { client } = lattice;
    await lattice.start("cp-1", "control-plane");
    await nodes(lattice, { n1: "us", n2: "eu", n3: "eu" });
    await client.startProvider({ provider: "kv", kind: "kv", nodeId: "n3" });
    await client.drain("n1");
    const order = ["start", echo.path, "--name", "x", "--count", "3", "--grant", "store=kv:read"];
    const { code, out } = await cli(lattice, ...order, "--dry-run");
    expect([code, out.split("\n").map((line) => line.replaceAll(/ {2,}/g, "  "))]).toEqual([
      0,
      [
        "RANK  NODE  COPIES  WHY",
        "1  n3  2  0 of the same name, hosts kv, 10000 of 10000 places free",
        "2  n2  1  0 of the same name, kv is in its zone, 10000 of 10000 places free",
        " n1  ✘  is draining",
        "",
      ].map((line) => line.replace(/^ n1/, "  n1")),
    ]);
    expect(await places(client)).toEqual({});
    expect((await client.modules()).modules).toEqual([]);
    expect((await cli(lattice, ...order)).code).toBe(0);
    expect(await places(client)).toEqual({ n2: 1, n3: 2 });
    const nowhere = await cli(lattice, ...order, "--node", "n1", "--dry-run");
    expect([nowhere.code, nowhere.out]).toEqual([1, expect.stringContaining("3 of them have no place")]);
  });

  test("R1.4: a pinned instance outlives a drain of its node where it is", { timeout: 60_000 }, async () => {
    await using lattice = await startProcesses();
    const { client } = lattice;
    await lattice.start("cp-1", "control-plane");
    await nodes(lattice, { n1: "eu", n2: "us" });
    const [pinned] = await client.start({ module, name: "pinned", nodeId: "n2" });
    const [free] = await client.start({ module, name: "free", requires: { zone: "us" } });
    await client.label("n1", { zone: "us" });
    expect(await client.drain("n2")).toMatchObject({
      moved: [free?.instanceId],
      left: [
        {
          instanceId: pinned?.instanceId,
          error: {
            code: "RESOURCE_EXHAUSTED",
            message: expect.stringContaining("n1 is not n2, the only one that may"),
          },
        },
      ],
    });
    expect(await places(client)).toEqual({ n1: 1, n2: 1 });
    await expect(client.start({ module, nodeId: "n2" })).rejects.toMatchObject({
      message: "no node can take 1 of 1 instances: n2 is draining",
    });
    expect((await cli(lattice, "inspect", pinned?.instanceId ?? "")).out).toMatch(/pinned to +n2\n/);
  });

  test("R3.5: nodes that are expected and never come are named", { timeout: 60_000 }, async () => {
    await using lattice = await startProcesses();
    await lattice.start("cp-1", "control-plane", "--expect-nodes", "n1,n9");
    await nodes(lattice, { n1: "eu" });
    expect((await lattice.client.nodes()).view).toMatchObject({ complete: false, neverHeard: ["n9"] });
    const doctor = await cli(lattice, "doctor");
    expect(doctor.out).toContain("incomplete: n9 (never heard)");
    expect((await lattice.client.start({ module, count: 2 })).length).toBe(2);
    expect((await cli(lattice, "control-plane", "--expect-nodes", "n1,")).code).toBe(2);
  });
});
