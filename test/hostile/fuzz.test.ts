import { afterAll, describe, expect, test } from "vitest";
import { targets } from "../../scripts/campaigns/fuzz/all-targets.ts";
import { runJob } from "../../scripts/campaigns/fuzz/run-job.ts";

/** Targets whose cases take tens of milliseconds; the campaign gives them their share of a million. */
const cases = new Map([
  ["guests-in-engine", 60],
  ["component-translation", 15],
]);
/** `--seed` of the campaign draws others. */
const seed = 20_260_101;

describe("P18, R13.5, R14.1: 1,000 drawn inputs are taken or refused with an expected code, each soon", () => {
  afterAll(async () => {
    for (const target of targets) await target.end?.();
  });

  test.each(targets.map((target) => [target.name, target] as const))("%s", async (name, target) => {
    const figures = await runJob(target, { target: name, seed, cases: cases.get(name) ?? 1_000 });
    expect(figures.failure).toBeUndefined();
    // A target that takes nothing says nothing about what becomes of what is taken.
    expect(figures.taken).toBeGreaterThan(0);
  });
});
