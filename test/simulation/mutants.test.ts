import { describe, expect, test } from "vitest";
import { runSeeds } from "../../scripts/campaigns/simulate/run-seeds.ts";
import { mutated } from "./apply-mutant.ts";
import { mutants } from "./mutants.ts";

describe("the simulation notices what is wrong", () => {
  test.each(mutants)("the mutant $name still has its place in $file", (mutant) => {
    expect(mutated(mutant)).toContain(mutant.replace);
  });

  test("no two mutants are called alike", () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  });

  test.each([
    ["no-gap-check", "P14", "actual status"],
    ["cell-not-told", "P4", "grants"],
    ["lost-although-heard", "P12", "presence"],
    ["no-backoff-ceiling", "P8", "restart policies"],
  ])("%s is caught: %s", { timeout: 120_000 }, async (mutant, _property, checker) => {
    const noticed: string[] = [];
    const onResult = ({ failures }: { failures: readonly { checker: string }[] }) => {
      noticed.push(...failures.map((failure) => failure.checker));
      return noticed.length === 0;
    };
    await runSeeds({ from: 1, seeds: 20, workers: 1, mutant, onResult });
    expect(noticed).toContain(checker);
  });
});
