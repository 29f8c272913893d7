import { parseArgs } from "node:util";
import { applyMutant } from "../../../test/simulation/apply-mutant.ts";
import { mutantOf } from "../../../test/simulation/mutants.ts";
import type { SeedOptions, SeedResult } from "../../../test/simulation/play-seed.ts";

/** What a worker is told: the next seed. */
export interface SeedOrder extends SeedOptions {
  readonly seed: number;
}

const { values } = parseArgs({ options: { mutant: { type: "string" } } });
if (values.mutant !== undefined) applyMutant(mutantOf(values.mutant));
// Not before the fault is in place.
const { playSeed } = await import("../../../test/simulation/play-seed.ts");

const rejections: string[] = [];
process.on("unhandledRejection", (reason) =>
  rejections.push(reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)),
);

process.on("message", ({ seed, ...options }: SeedOrder) => {
  void playSeed(seed, options).then(
    (result) => process.send?.(withRejections(result)),
    (error: unknown) => {
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.send?.({ seed, error: what });
    },
  );
});
process.on("disconnect", () => process.exit());
process.send?.("ready");

/** A promise that nobody waited for is a bug as well. */
function withRejections(result: SeedResult): SeedResult {
  const failures = rejections
    .splice(0)
    .map((what) => ({ checker: "no uncaught error", what, atMs: result.simulatedMs }));
  return { ...result, failures: [...result.failures, ...failures] };
}
