import { describe, expect, test } from "vitest";
import { playSeed } from "./play-seed.ts";

/** A hundred seeds that stay the same, in parts, so that a failure says sooner where it is. */
const parts = Array.from({ length: 10 }, (_, part) =>
  Array.from({ length: 10 }, (_unused, index) => part * 10 + index + 1),
);

/** Shorter than those of a campaign, so that a hundred do not take minutes. */
const loadMs = 30_000;

describe("a simulated lattice of the real code", () => {
  test.each(parts.map((seeds) => [seeds]))(
    "P2, P5, P6, P8, P9, P12, P13, P14, P16, P17, P20 hold under the faults of the seeds %j",
    async (seeds) => {
      for (const seed of seeds) {
        const { failures } = await playSeed(seed, { loadMs });
        expect(failures, `scripts/simulate --seeds 1 --from ${seed} --load-ms ${loadMs}`).toEqual([]);
      }
    },
    60_000,
  );

  test("P12: a hundred nodes are whole again like a few", { timeout: 60_000 }, async () => {
    const { failures, convergedMs } = await playSeed(1, { nodes: 100, loadMs: 15_000 });
    expect(failures).toEqual([]);
    expect(convergedMs).toBeLessThan(2_500);
  });
});
