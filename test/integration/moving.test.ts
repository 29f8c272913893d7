import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { Client } from "../../src/client/client.ts";
import { type LatticeProcesses, startProcesses } from "../support/lattice-processes.ts";

const { echo } = await buildExamples(["echo"]);
const module = { bytes: new Uint8Array(readFileSync(echo.path)) };

/** Calls a target without a pause until it is told to stop; resolves with the failures. */
function load(client: Client, targets: readonly string[]): () => Promise<string[]> {
  const failures: string[] = [];
  let goesOn = true;
  const loops = targets.map(async (target) => {
    while (goesOn) {
      await client.call(target, "go", new Uint8Array([1])).catch((error: unknown) => {
        failures.push(String(error));
      });
    }
  });
  return async () => {
    goesOn = false;
    await Promise.all(loops);
    return failures;
  };
}

async function places(client: Client): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const one of client.list({}))
    if (one.status === "running") found.set(one.nodeId, (found.get(one.nodeId) ?? 0) + 1);
  return found;
}

async function threeNodes(): Promise<LatticeProcesses> {
  const lattice = await startProcesses();
  await lattice.start("cp-1", "control-plane");
  await Promise.all(
    ["n1", "n2", "n3"].map((id) => lattice.start(id, "node", "--cells", "1", "--label", `id=${id}`)),
  );
  return lattice;
}

describe("R1.4, R11.4: instances move on command", () => {
  test("drain, relocate and scale lose no call", { timeout: 60_000 }, async () => {
    await using lattice = await threeNodes();
    const { client } = lattice;
    const started = await client.start({ module, name: "many", count: 12 });
    const [one] = started.filter(({ nodeId }) => nodeId === "n1");
    const endLoad = load(client, ["many", "many", one?.instanceId ?? "", started[1]?.instanceId ?? ""]);

    const drained = await client.drain("n1");
    expect([drained.moved.length, drained.left]).toEqual([4, []]);
    expect(await places(client)).toEqual(
      new Map([
        ["n2", 6],
        ["n3", 6],
      ]),
    );
    await expect(client.start({ module, requires: { id: "n1" } })).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      message: expect.stringContaining("n1 is draining"),
    });
    expect(await client.resume("n1")).toMatchObject({ nodeId: "n1", status: "alive" });

    expect(await client.relocate(one?.instanceId ?? "", "n1")).toMatchObject([
      { instanceId: one?.instanceId, nodeId: "n1", incarnation: 3, status: "running" },
    ]);
    await expect(client.relocate(one?.instanceId ?? "", "nowhere")).rejects.toMatchObject({
      code: "NODE_NOT_FOUND",
    });
    expect(await endLoad()).toEqual([]);

    expect((await client.scale("many", 15)).length).toBe(15);
    expect([...(await places(client)).values()].toSorted((a, b) => a - b)).toEqual([4, 5, 6]);
    expect((await client.scale("many", 3)).length).toBe(3);
    expect([...(await places(client)).values()]).toEqual([1, 1, 1]);
    expect(await client.scale("many", 0)).toEqual([]);
    await expect(client.scale("many", 1)).rejects.toMatchObject({ code: "INSTANCE_UNAVAILABLE" });
  });

  test("SIGTERM of a node hands over what it runs before it ends", { timeout: 60_000 }, async () => {
    await using lattice = await threeNodes();
    const { client } = lattice;
    const n4 = await lattice.start("n4", "node", "--cells", "1", "--label", "id=n4");
    await client.drain("n1");
    const started = await client.start({ module, name: "many", count: 9 });
    const endLoad = load(client, ["many", started.find(({ nodeId }) => nodeId === "n4")?.instanceId ?? ""]);
    await n4.signal("SIGTERM");
    await vi.waitFor(
      async () =>
        expect((await client.nodes()).nodes.find((one) => one.nodeId === "n4")?.status).toBe("left"),
      { timeout: 20_000 },
    );
    expect(await endLoad()).toEqual([]);
    expect([...(await places(client)).values()].reduce((sum, count) => sum + count, 0)).toBe(9);
  });

  test("labels of a running node are changed, and placement goes by them", { timeout: 60_000 }, async () => {
    await using lattice = await threeNodes();
    const { client } = lattice;
    const { labels } = await client.label("n2", { zone: "eu", id: null });
    expect(labels).toMatchObject({ zone: "eu" });
    expect(labels).not.toHaveProperty("id");
    const started = await client.start({ module, count: 3, requires: { zone: "eu" } });
    expect(new Set(started.map((one) => one.nodeId))).toEqual(new Set(["n2"]));
    await expect(client.label("n2", { "wasmatrix.os": "plan9" })).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
  });
});
