import fc from "fast-check";
import { fuzzLimits } from "./limits.ts";
import type { FuzzTarget } from "./target.ts";

/** Cases of one target, drawn from seeds that follow one another: one for each chunk. */
export interface Job {
  readonly target: string;
  readonly seed: number;
  readonly cases: number;
  /** Of one case, as a failure told it; then `cases` is 1. */
  readonly path?: string;
}

/** What came of a job. */
export interface JobFigures {
  readonly target: string;
  readonly cases: number;
  /** Cases that were input and not only refused. */
  readonly taken: number;
  readonly ms: number;
  readonly slowestMs: number;
  /** From the base to the end, after a garbage collection; undefined where there were too few checkpoints. */
  readonly heapGrowth: number | undefined;
  readonly rssGrowth: number | undefined;
  /** What was wrong, and the line that replays it. */
  readonly failure: { readonly what: string; readonly replay: string } | undefined;
}

interface Sample {
  readonly heapBytes: number;
  readonly rssBytes: number;
}

/** Runs a job to its end or to its first failure. `onCase` is told of each case before it begins. */
export async function runJob(
  target: FuzzTarget,
  job: Job,
  onCase: (seed: number, index: number) => void = () => {},
): Promise<JobFigures> {
  const beganAt = performance.now();
  const samples: Sample[] = [];
  const counts = { cases: 0, taken: 0, slowestMs: 0 };
  let failure: JobFigures["failure"];
  for (let seed = job.seed; counts.cases < job.cases && failure === undefined; seed += 1) {
    failure = await runChunk(target, { ...job, seed, cases: job.cases - counts.cases }, counts, onCase);
    samples.push(sample());
  }
  const [heapGrowth, rssGrowth] = [growth(samples, "heapBytes"), growth(samples, "rssBytes")];
  failure ??= leak(job, samples, heapGrowth, rssGrowth);
  return { target: target.name, ...counts, ms: performance.now() - beganAt, heapGrowth, rssGrowth, failure };
}

async function runChunk(
  target: FuzzTarget,
  { seed, cases, path }: Job,
  counts: { cases: number; taken: number; slowestMs: number },
  onCase: (seed: number, index: number) => void,
): Promise<JobFigures["failure"]> {
  const beganAt = performance.now();
  let index = 0;
  const property = fc.asyncProperty(target.arbitrary, async (one) => {
    onCase(seed, index);
    index += 1;
    counts.slowestMs = Math.max(counts.slowestMs, await checkInTime(target, one, counts));
  });
  const parameters = {
    seed,
    numRuns: path === undefined ? Math.min(fuzzLimits.chunkCases, cases) : 1,
    // What was not run in time is drawn again with the next seed.
    interruptAfterTimeLimit: path === undefined ? fuzzLimits.chunkMsMax : fuzzLimits.shrinkMsMax,
    // Making a case smaller takes long where cases are large: whoever replays it may wait.
    ...(path === undefined ? { endOnFailure: true } : { path }),
  };
  const result = await fc.check(property, parameters);
  counts.cases += Math.max(1, result.numRuns);
  if (!result.failed || (result.interrupted && result.counterexample === null)) return undefined;
  const after = Math.round(performance.now() - beganAt);
  const error = result.errorInstance;
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    what: `${what}\nafter ${after} ms, with ${fc.stringify(result.counterexample).slice(0, 2_000)}`,
    replay: replayLine(target.name, seed, result.counterexamplePath ?? "0"),
  };
}

/** Checks one case, a second time where it took long: the machine may have been busy. */
async function checkInTime(target: FuzzTarget, one: unknown, counts: { taken: number }): Promise<number> {
  const beganAt = performance.now();
  if (await target.check(one)) counts.taken += 1;
  const ms = performance.now() - beganAt;
  const { caseMsMax = fuzzLimits.caseMsMax } = target;
  if (ms <= caseMsMax) return ms;
  const againAt = performance.now();
  await target.check(one);
  const againMs = performance.now() - againAt;
  if (againMs > caseMsMax) throw new Error(`the case took ${ms} and ${againMs} ms`);
  return againMs;
}

/** The line that runs one case again. */
export function replayLine(target: string, seed: number, path: string): string {
  return `scripts/fuzz --only ${target} --seed ${seed} --path ${path}`;
}

function sample(): Sample {
  globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapBytes: heapUsed + external, rssBytes: rss };
}

/** The lowest of the last three samples against the first after the warm-up, as a share of that. */
function growth(samples: readonly Sample[], of: keyof Sample): number | undefined {
  if (samples.length < fuzzLimits.judgedChunksMin || globalThis.gc === undefined) return undefined;
  const base = samples[fuzzLimits.warmUpChunks]?.[of] ?? 1;
  return Math.min(...samples.slice(-3).map((one) => one[of])) / base - 1;
}

function leak(
  { target, seed, cases }: Job,
  samples: readonly Sample[],
  heapGrowth: number | undefined,
  rssGrowth: number | undefined,
): JobFigures["failure"] {
  const base = samples[fuzzLimits.warmUpChunks];
  if (base === undefined || heapGrowth === undefined || rssGrowth === undefined) return undefined;
  const { growthMax, heapSlackBytes, rssSlackBytes } = fuzzLimits;
  const heapIsOver = heapGrowth * base.heapBytes > growthMax * base.heapBytes + heapSlackBytes;
  const rssIsOver = rssGrowth * base.rssBytes > growthMax * base.rssBytes + rssSlackBytes;
  if (!heapIsOver && !rssIsOver) return undefined;
  const what = `memory grew: heap by ${percent(heapGrowth)} of ${base.heapBytes} bytes, RSS by ${percent(rssGrowth)} of ${base.rssBytes}`;
  return { what, replay: `scripts/fuzz --only ${target} --seed ${seed} --cases ${cases}` };
}

/** A share as text. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
