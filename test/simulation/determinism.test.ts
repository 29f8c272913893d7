import { expect, test } from "vitest";
import { runSeeds } from "../../scripts/campaigns/simulate/run-seeds.ts";
import { playSeed } from "./play-seed.ts";

const seeds = [3, 4, 11];
const loadMs = 30_000;

async function hashesOfFreshProcess(): Promise<Map<number, string>> {
  const hashes = new Map<number, string>();
  for (const seed of seeds) {
    const onResult = (result: { hash: string }) => hashes.set(seed, result.hash) !== undefined;
    await runSeeds({ from: seed, seeds: 1, workers: 1, loadMs, onResult });
  }
  return hashes;
}

test(
  "P16: the same seed gives the same messages at the same moments, in this process and in others",
  { timeout: 60_000 },
  async () => {
    const here = new Map<number, string>();
    for (const seed of seeds) here.set(seed, (await playSeed(seed, { loadMs })).hash);
    const again = new Map<number, string>();
    for (const seed of seeds) again.set(seed, (await playSeed(seed, { loadMs })).hash);
    expect(again).toEqual(here);
    expect(await hashesOfFreshProcess()).toEqual(here);
    expect(new Set(here.values()).size).toBe(seeds.length);
  },
);
