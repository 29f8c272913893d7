import { availableParallelism } from "node:os";
import { mutantOf, mutants } from "../../../test/simulation/mutants.ts";
import type { SeedResult } from "../../../test/simulation/play-seed.ts";
import { readCommandLine } from "../../command-line.ts";
import { createTally, failureText } from "./report.ts";
import { runSeeds } from "./run-seeds.ts";

const usage =
  "usage: scripts/simulate --seeds <n> [--from <seed>] [--nodes <n>] [--load-ms <ms>] [--workers <n>] [--mutant <name>] [--mutants] [--trace]";
const {
  given: { values },
  whole,
} = readCommandLine(usage, {
  options: {
    seeds: { type: "string", default: "20" },
    from: { type: "string", default: "1" },
    nodes: { type: "string" },
    "load-ms": { type: "string" },
    workers: { type: "string", default: String(Math.min(2, availableParallelism())) },
    mutant: { type: "string" },
    mutants: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
  },
});

/** A mutant that nobody notices within so many seeds shows that the simulation is blind. */
const mutantSeedsMax = 20;

/** Failures that are printed; the others are counted. */
const failuresShownMax = 20;

/** How often the progress is told. */
const progressEveryMs = 10_000;

const from = whole(values.from, 0, 2 ** 32 - 1);
const workers = whole(values.workers, 1, 64);
const nodes = values.nodes === undefined ? undefined : whole(values.nodes, 1, 1_000);
const loadMs = values["load-ms"] === undefined ? undefined : whole(values["load-ms"], 1_000, 3_600_000);
const extra = [
  ...(nodes === undefined ? [] : [`--nodes ${nodes}`]),
  ...(loadMs === undefined ? [] : [`--load-ms ${loadMs}`]),
  ...(values.mutant === undefined ? [] : [`--mutant ${values.mutant}`]),
].join(" ");

if (values.mutants) await playMutants();
else await playCampaign(whole(values.seeds, 1, 10_000_000));

async function playCampaign(seeds: number): Promise<void> {
  if (values.mutant !== undefined) mutantOf(values.mutant);
  const tally = createTally();
  const beganAt = performance.now();
  const tookMs = () => performance.now() - beganAt;
  const progress = setInterval(() => {
    const rate = tally.played / (tookMs() / 1_000);
    console.error(`${tally.played} of ${seeds} seeds, ${tally.failed} failed, ${rate.toFixed(1)} a second`);
  }, progressEveryMs);
  const onResult = (result: SeedResult) => {
    tally.add(result);
    if (values.trace) console.log(result.trace.join("\n"));
    if (values.trace || seeds === 1) console.log(`seed ${result.seed}: trace ${result.hash}`);
    if (result.failures.length > 0 && tally.failed <= failuresShownMax)
      console.log(failureText(result, `scripts/simulate --seeds 1 --from ${result.seed} ${extra}`.trim()));
    return true;
  };
  const { mutant } = values;
  await runSeeds({ from, seeds, workers, nodes, loadMs, mutant, keepsTrace: values.trace, onResult });
  clearInterval(progress);
  console.log(tally.summary(tookMs()));
  process.exitCode = tally.failed > 0 || tally.played < seeds ? 1 : 0;
}

/** Plays each mutant until a checker notices, and prints who did. */
async function playMutants(): Promise<void> {
  console.log("| mutant | what is wrong with it | noticed by | at seed |\n|---|---|---|---|");
  for (const { name, says } of mutants) {
    let caught: SeedResult | undefined;
    await runSeeds({
      from,
      seeds: mutantSeedsMax,
      workers,
      nodes,
      mutant: name,
      onResult(result) {
        if (result.failures.length > 0 && (caught === undefined || result.seed < caught.seed))
          caught = result;
        return caught === undefined;
      },
    });
    const by = caught?.failures[0]?.checker ?? "**nobody**";
    console.log(`| \`${name}\` | ${says} | ${by} | ${caught?.seed ?? "–"} |`);
    if (caught === undefined) process.exitCode = 1;
  }
}
