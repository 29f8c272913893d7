import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { Client } from "../../src/client/client.ts";
import type { InstanceSummary } from "../../src/protocol/instance-spec.ts";
import { startProcesses } from "../support/lattice-processes.ts";

const { echo } = await buildExamples(["echo"]);
const module = { bytes: new Uint8Array(readFileSync(echo.path)) };
const patience = { timeout: 30_000, interval: 50 };

async function all(client: Client): Promise<InstanceSummary[]> {
  const found: InstanceSummary[] = [];
  for await (const one of client.list({})) found.push(one);
  return found;
}

const call = async (client: Client, target: string) =>
  new TextDecoder().decode(await client.call(target, "go", new TextEncoder().encode("hello")));

describe("P12, R8.2: the loss of a node", () => {
  test("its instances run elsewhere, each once, with all that they were", { timeout: 90_000 }, async () => {
    await using lattice = await startProcesses();
    const { client } = lattice;
    await lattice.start("cp-1", "control-plane");
    const nodes = await Promise.all(
      ["n1", "n2", "n3"].map((id) => lattice.start(id, "node", "--cells", "1")),
    );
    const started = await client.start({
      module,
      name: "many",
      count: 300,
      onNodeLoss: "relocate",
      restartPolicy: { type: "always" },
      capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read"] }],
    });
    const stays = await client.start({ module, name: "stays", count: 30 });
    const lost = new Set(started.filter((one) => one.nodeId === "n2").map((one) => one.instanceId));
    expect(lost.size).toBe(100);
    await nodes[1]?.signal("SIGKILL");

    await vi.waitFor(async () => {
      const running = (await all(client)).filter((one) => one.name === "many");
      expect(running.filter((one) => one.status === "running" && one.nodeId !== "n2")).toHaveLength(300);
    }, patience);
    const now = (await all(client)).filter((one) => one.name === "many");
    expect(new Set(now.map((one) => one.instanceId)).size).toBe(300);
    expect(new Set(now.filter((one) => one.incarnation === 2).map((one) => one.instanceId))).toEqual(lost);
    const [moved = ""] = lost;
    expect((await client.query(moved)).instance).toMatchObject({
      restartPolicy: { type: "always" },
      capabilities: [{ capabilityId: "store", permissions: ["kv:read"] }],
    });
    expect(await Promise.all([...lost].map((id) => call(client, id)))).toEqual([...lost].map(() => "hello"));

    // Those that were to stay are neither running nor gone, until their node is back.
    const waiting = stays.filter((one) => one.nodeId === "n2").map((one) => one.instanceId);
    const statuses = async () =>
      (await all(client)).filter((one) => waiting.includes(one.instanceId)).map((one) => one.status);
    expect(await statuses()).toEqual(waiting.map(() => "unreachable"));
    await lattice.start("n2", "node", "--cells", "1");
    await vi.waitFor(async () => expect(await statuses()).toEqual(waiting.map(() => "running")), patience);
    expect(await Promise.all(waiting.map((id) => call(client, id)))).toEqual(waiting.map(() => "hello"));
  });

  test("a node that was frozen comes back to exactly one copy of each", { timeout: 90_000 }, async () => {
    await using lattice = await startProcesses();
    const { client } = lattice;
    await lattice.start("cp-1", "control-plane");
    await lattice.start("cp-2", "control-plane");
    const frozen = await lattice.start("n1", "node", "--cells", "1");
    await lattice.start("n2", "node", "--cells", "1");
    const started = await client.start({ module, name: "many", count: 40, onNodeLoss: "relocate" });
    const moved = started.filter((one) => one.nodeId === "n1").map((one) => one.instanceId);
    await frozen.signal("SIGSTOP");
    await vi.waitFor(async () => {
      const there = (await all(client)).filter((one) => one.nodeId === "n2" && one.status === "running");
      expect(there).toHaveLength(40);
    }, patience);
    const fenced = new Set<string>();
    const feed = client.facts();
    const listening = (async () => {
      for await (const fact of feed) if (fact.kind === "instance.fenced") fenced.add(fact.data.instanceId);
    })();
    await frozen.signal("SIGCONT");
    await vi.waitFor(() => expect(fenced).toEqual(new Set(moved)), patience);
    const now = await all(client);
    expect(now.filter((one) => one.status === "running").map((one) => [one.nodeId, one.incarnation])).toEqual(
      started
        .toSorted((one, other) => (one.instanceId < other.instanceId ? -1 : 1))
        .map(({ instanceId }) => ["n2", moved.includes(instanceId) ? 2 : 1]),
    );
    feed.close();
    await listening;
  });
});
