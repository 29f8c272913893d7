import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { Client } from "../../src/client/client.ts";
import type { InstanceSummary } from "../../src/protocol/instance-spec.ts";
import { startProcesses } from "../support/lattice-processes.ts";
import { createLatticeRoles } from "../support/lattice-roles.ts";

const { echo } = await buildExamples(["echo"]);
const module = { bytes: new Uint8Array(readFileSync(echo.path)) };
const patience = { timeout: 30_000, interval: 50 };

async function all(client: Client): Promise<InstanceSummary[]> {
  const found: InstanceSummary[] = [];
  for await (const one of client.list({})) found.push(one);
  return found;
}

describe("R11.4: several control planes", () => {
  test(
    "a rolling restart of all of them under a load of commands loses none",
    { timeout: 90_000 },
    async () => {
      await using lattice = await startProcesses();
      const { client } = lattice;
      const planes = [
        await lattice.start("cp-1", "control-plane"),
        await lattice.start("cp-2", "control-plane"),
      ];
      await Promise.all(["n1", "n2"].map((id) => lattice.start(id, "node", "--cells", "1")));
      const [first] = await client.start({ module, name: "first" });
      const moduleHash = first?.moduleHash ?? "";

      let goesOn = true;
      const outcomes: string[] = [];
      const commands = async (worker: number) => {
        for (let turn = 0; goesOn; turn += 1) {
          const instanceId = `w${worker}-${turn}`;
          const assignment = { capabilityId: "store", providerType: "kv", permissions: ["kv:read"] };
          try {
            await client.start({ module: { digest: moduleHash }, instanceId, name: `w${worker}` });
            await client.assign({ instanceId }, assignment);
            const restarted = await client.restart({ instanceId });
            if (turn % 2 === 0) await client.stop({ instanceId });
            outcomes.push(`restarts ${restarted[0]?.restarts}`);
          } catch (error) {
            outcomes.push(`${instanceId}: ${String(error)}`);
          }
        }
      };
      const workers = [0, 1, 2].map(commands);
      for (const [index, plane] of planes.entries()) {
        const before = outcomes.length;
        await vi.waitFor(() => expect(outcomes.length).toBeGreaterThan(before + 10), patience);
        // One ends in order, the other one by a crash in the middle of whatever it does.
        await plane.signal(index === 0 ? "SIGTERM" : "SIGKILL");
        await lattice.start(`cp-${index + 3}`, "control-plane");
      }
      const before = outcomes.length;
      await vi.waitFor(() => expect(outcomes.length).toBeGreaterThan(before + 10), patience);
      goesOn = false;
      await Promise.all(workers);
      expect(new Set(outcomes)).toEqual(new Set(["restarts 1"]));

      const running = (await all(client)).filter((one) => one.name !== "first");
      expect(new Set(running.map((one) => one.status))).toEqual(new Set(["running"]));
      expect(running.length).toBe(new Set(running.map((one) => one.instanceId)).size);
      expect(running.every((one) => Number(one.instanceId.split("-")[1]) % 2 === 1)).toBe(true);
    },
  );

  test(
    "the one that relocates is killed in the middle: still exactly once",
    { timeout: 90_000 },
    async () => {
      await using lattice = await startProcesses();
      const { client } = lattice;
      const leader = await lattice.start("cp-1", "control-plane");
      await lattice.start("cp-2", "control-plane");
      const [n1] = await Promise.all(
        ["n1", "n2", "n3"].map((id) => lattice.start(id, "node", "--cells", "1")),
      );
      const started = await client.start({ module, name: "many", count: 600, onNodeLoss: "relocate" });
      const feed = client.facts();
      const relocated = (async () => {
        for await (const fact of feed) if (fact.kind === "instance.relocated") return;
      })();
      await n1?.signal("SIGKILL");
      await relocated;
      await leader.signal("SIGKILL");
      feed.close();
      await vi.waitFor(async () => {
        const now = await all(client);
        expect(now.filter((one) => one.status === "running" && one.nodeId !== "n1")).toHaveLength(600);
      }, patience);
      const counts = new Map<string, number>();
      for (const nodeId of ["n2", "n3"]) {
        for await (const one of client.list({ nodeId }))
          counts.set(one.instanceId, (counts.get(one.instanceId) ?? 0) + 1);
      }
      expect(counts).toEqual(new Map(started.map((one) => [one.instanceId, 1])));
    },
  );

  test(
    "P2, P12: every one of them was restarted while a node was away, and what it ran is there again",
    { timeout: 90_000 },
    async () => {
      using roles = createLatticeRoles();
      for (const id of ["cp-1", "cp-2"]) roles.creds("control-plane", id);
      roles.creds("node", "n1");
      roles.creds("operator", "operator");
      await using lattice = await startProcesses(undefined, roles);
      const { client } = lattice;
      const untilAll = (status: string) =>
        vi.waitFor(
          async () => expect((await all(client)).map((one) => one.status)).toEqual([status, status]),
          patience,
        );
      let leader = await lattice.start("cp-1", "control-plane");
      const n1 = await lattice.start("n1", "node", "--cells", "1");
      await client.start({ module, name: "stays", count: 2, nodeId: "n1" });
      await n1.signal("SIGKILL");
      await untilAll("unreachable");
      // Twice, so that nobody is left who had heard that node.
      for (const id of ["cp-2", "cp-1"]) {
        const toldBy = await lattice.start(id, "control-plane");
        await vi.waitFor(
          () => expect(toldBy.log()).toContain("another control plane had heard more"),
          patience,
        );
        await leader.signal("SIGKILL");
        leader = toldBy;
        await untilAll("unreachable");
      }
      await lattice.start("n1", "node", "--cells", "1");
      await untilAll("running");
      expect(leader.log()).not.toMatch(/violation/i);
    },
  );
});
