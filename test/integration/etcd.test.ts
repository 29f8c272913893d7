import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { directoryLimits } from "../../src/limits.ts";
import { startEtcd } from "../support/etcd-server.ts";
import { type PartProcess, startProcesses } from "../support/lattice-processes.ts";

const { echo } = await buildExamples(["echo"]);
const module = { bytes: new Uint8Array(readFileSync(echo.path)) };
const patience = { timeout: 30_000, interval: 50 };
const warning = "etcd is not to be had";

const count = (part: PartProcess, words: string) => part.log().split(words).length - 1;

test(
  "R7: with etcd, who is there can be looked up; a process that dies drops out, and the death of etcd changes nothing else",
  { timeout: 120_000 },
  async () => {
    await using etcd = await startEtcd();
    await using lattice = await startProcesses();
    const { client } = lattice;
    const option = ["--etcd", etcd.url];
    const keys = async () =>
      [...(await etcd.all()).keys()].map((key) => key.replace("/wasmatrix/default/", ""));
    const parts = [
      await lattice.start("cp-1", "control-plane", ...option),
      await lattice.start("n1", "node", "--cells", "1", "--label", "zone=eu", ...option),
      await lattice.start("n2", "node", "--cells", "1", ...option),
      await lattice.start("kv-1", "provider", "kv", ...option),
    ] as const;
    const all = ["nodes/kv-1", "nodes/n1", "nodes/n2", "providers/kv/kv-1"];
    await vi.waitFor(async () => expect(await keys()).toEqual(all), patience);
    expect(JSON.parse((await etcd.all()).get("/wasmatrix/default/nodes/n1") ?? "")).toMatchObject({
      nodeId: "n1",
      labels: { zone: "eu" },
    });

    await etcd.kill();
    await client.start({ module, name: "one", count: 4, onNodeLoss: "relocate" });
    // Each process finds out at its next renewal.
    await vi.waitFor(() => expect(parts.map((part) => count(part, warning))).toEqual([1, 1, 1, 1]), patience);
    await parts[2].signal("SIGKILL");
    await vi.waitFor(async () => {
      const { nodes } = await client.nodes();
      expect(nodes.find((node) => node.nodeId === "n2")?.status).toBe("lost");
      expect(nodes.find((node) => node.nodeId === "n1")?.instances).toBe(4);
    }, patience);
    expect(new TextDecoder().decode(await client.call("one", "go", new TextEncoder().encode("on")))).toBe(
      "on",
    );

    await etcd.restart({ empty: true });
    const without = all.filter((key) => key !== "nodes/n2");
    await vi.waitFor(async () => expect(await keys()).toEqual(without), patience);
    expect(parts.map((part) => count(part, warning))).toEqual([1, 1, 1, 1]);

    await parts[3].signal("SIGKILL");
    await parts[1].signal("SIGTERM");
    // One says goodbye, the other one's lease runs out.
    await vi.waitFor(async () => expect(await keys()).toEqual(["nodes/kv-1", "providers/kv/kv-1"]), patience);
    await vi.waitFor(async () => expect(await keys()).toEqual([]), {
      ...patience,
      timeout: 2_000 * directoryLimits.leaseTtlS,
    });
  },
);
