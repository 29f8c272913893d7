import { describe, expect, test } from "vitest";
import { startSoakCluster } from "../../scripts/campaigns/soak/cluster.ts";
import { runSoak } from "../../scripts/campaigns/soak/run-soak.ts";
import { leaksIn, trendOf } from "../../scripts/campaigns/soak/verdict.ts";

const megabytes = (count: number) => count * 1_048_576;
/** 30 minutes, a sample every three seconds. */
const series = (rssAt: (minute: number) => number) =>
  Array.from({ length: 600 }, (_, index) => ({ atMs: index * 3_000, rssBytes: rssAt(index / 20) }));
/** Between -1 and 1, without chance. */
const wobble = (minute: number) => Math.sin(minute * 97) * Math.cos(minute * 31);

describe("R8.5: the verdict about memory", () => {
  test("what rises at first and then stays is flat, and so is what only wobbles", () => {
    const settling = series(
      (minute) => megabytes(200 - 100 * Math.exp(-minute)) + megabytes(2) * wobble(minute),
    );
    expect(trendOf(settling).isFlat).toBe(true);
    expect(trendOf(series((minute) => megabytes(150 + 4 * wobble(minute)))).isFlat).toBe(true);
  });

  test("a leak of 3 % in ten minutes is not flat, nor is one peak of a quarter", () => {
    const leaking = trendOf(series((minute) => megabytes(400 + 1.2 * minute + wobble(minute))));
    expect(leaking.isFlat).toBe(false);
    expect(leaking.slopePer10Min).toBeCloseTo(0.0285, 3);
    expect(trendOf(series((minute) => megabytes(minute > 25 && minute < 26 ? 250 : 200))).isFlat).toBe(false);
  });

  test("one subscription or timer more than before is a leak, a thread of a pool is none", () => {
    const counts = [
      { of: "subscriptions of node node-1", before: 14, after: 15, slack: 0 },
      { of: "node-1 threads", before: 11, after: 12, slack: 4 },
      { of: "node-1 timers", before: 3, after: 2, slack: 0 },
    ];
    expect(leaksIn(counts).map(({ of }) => of)).toEqual(["subscriptions of node node-1"]);
  });
});

test(
  "R8.5, R16.4: after some seconds of calls, crashes, grants and updates nothing is left of them",
  { timeout: 90_000 },
  async () => {
    await using cluster = await startSoakCluster();
    const { wrong, doings } = await runSoak(cluster, { minutes: 0.15, seed: 1, restarts: false });
    expect(wrong).toEqual([]);
    for (const what of ["call", "kv call", "crash", "http request", "life of an instance", "provider update"])
      expect(doings.done.get(what) ?? 0, what).toBeGreaterThan(0);
  },
);
