import { describe, expect, test } from "vitest";
import { startCluster } from "../../scripts/campaigns/chaos/cluster.ts";
import type { Fault } from "../../scripts/campaigns/chaos/faults.ts";
import { playRound } from "../../scripts/campaigns/chaos/round.ts";

/** Short faults, the loss of the node long enough to be noticed by silence alone; those of the network where namespaces can be made; the campaign draws longer ones from a seed. */
const faults: readonly Fault[] = [
  { kind: "kill", targets: ["node-1"], atMs: 200, forMs: 9_000 },
  { kind: "kill", targets: ["server-2"], atMs: 1_000, forMs: 1_000 },
  { kind: "freeze", targets: ["plane-1"], atMs: 1_500, forMs: 2_000 },
];
const networkFaults: readonly Fault[] = [
  { kind: "loss", targets: ["node-2"], atMs: 0, forMs: 4_000 },
  { kind: "deafen", targets: ["node-3"], atMs: 2_200, forMs: 2_000 },
];

describe("P2, P9, P12, P14: a lattice that is hurt under load", () => {
  test(
    "is whole again: every instance once, every view the truth, no grant lost",
    { timeout: 120_000 },
    async () => {
      await using cluster = await startCluster({ nodes: 3 });
      const hasNetwork = cluster.hosts.network === "namespaces";
      const struck = [...faults, ...(hasNetwork ? networkFaults : [])];
      const { wrong, losses, ledger } = await playRound(cluster, { seed: 1, turn: 0, faults: struck });
      expect(wrong).toEqual([]);
      expect(losses.map(({ nodeId, noticedMs }) => [nodeId, noticedMs !== undefined])).toEqual([
        ["node-1", true],
      ]);
      expect(ledger.calls.done).toBeGreaterThan(100);
      expect(ledger.commands.length).toBeGreaterThan(10);
    },
  );
});
