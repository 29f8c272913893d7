import { controlPlaneLimits } from "../../../src/limits.ts";
import { type AtRest, compareAtRest, lookAtRest } from "./at-rest.ts";
import type { SoakCluster } from "./cluster.ts";
import { soakLimits } from "./limits.ts";
import { beginLoad, type Doings } from "./load.ts";
import { heldBy } from "./sample.ts";
import { leaksIn, type MemorySample, type RestCount, type Trend, trendOf } from "./verdict.ts";

/** What came of a run. */
export interface SoakResult {
  readonly minutes: number;
  readonly seed: number;
  readonly doings: Doings;
  /** By process; of those that lived from beginning to end. */
  readonly trends: ReadonlyMap<string, Trend>;
  readonly series: ReadonlyMap<string, readonly MemorySample[]>;
  readonly counts: readonly RestCount[];
  /** Heaps after a garbage collection, before and after, of processes that can be asked. */
  readonly heaps: ReadonlyMap<string, readonly [beforeBytes: number, afterBytes: number]>;
  /** One line each; nothing where the run was clean. */
  readonly wrong: readonly string[];
}

/** Keeps the lattice busy for so long, and compares what it holds before and after. */
export async function runSoak(
  cluster: SoakCluster,
  { minutes, seed, restarts = true }: { minutes: number; seed: number; restarts?: boolean },
): Promise<SoakResult> {
  // Pools fill, code is compiled and connections are opened once: the base is what is left of a short load.
  const warmUp = await beginLoad(cluster, { seed: seed + 1, restarts: false });
  await pause(warmUpMs(minutes));
  await warmUp.end();
  if (minutes >= soakLimits.judgedMinutesMin) await fillMemories(cluster);
  const before = await settled(cluster);
  const pidsBefore = cluster.pids();

  const load = await beginLoad(cluster, { seed, restarts });
  const series = await sampled(cluster, minutes * 60_000);
  await load.end();
  const { after, counts } = await compareAtRest(cluster, before);

  const trends = new Map([...series].map(([name, samples]) => [name, trendOf(samples)]));
  const heaps = new Map(
    [...before.probes].map(
      ([id, { heapBytes }]) => [id, [heapBytes, after.probes.get(id)?.heapBytes ?? 0]] as const,
    ),
  );
  const wrong = [
    ...leaksIn(counts).map(({ of, before, after }) => `${of}: ${before} before, ${after} after`),
    ...(minutes < soakLimits.judgedMinutesMin ? [] : growing(trends)),
    ...ended(pidsBefore, cluster.pids()),
    ...complaints(cluster, after),
    ...[...load.doings.failed]
      .filter(([what]) => !isExpected(what))
      .map(([what, count]) => `${count} × ${what}, the first: ${load.doings.said.get(what)}`),
  ];
  return { minutes, seed, doings: load.doings, trends, series, counts, heaps, wrong };
}

/** Control planes keep so many answers and facts: until they do, they grow for longer than a run takes. Each gets about half. */
async function fillMemories({ client }: SoakCluster): Promise<void> {
  const commands = 2 * Math.max(controlPlaneLimits.answersMax, controlPlaneLimits.recentFactsMax);
  const { fillAtOnce } = soakLimits;
  for (let done = 0; done < commands; done += fillAtOnce)
    await Promise.all(
      Array.from({ length: fillAtOnce }, (_, index) =>
        client.label("node-1", { filled: String(done + index) }),
      ),
    );
}

/** What is counted at rest, once two looks in a row are the same. */
async function settled(cluster: SoakCluster): Promise<AtRest> {
  const until = Date.now() + soakLimits.restMs;
  let before = await lookAtRest(cluster);
  for (;;) {
    await pause(3 * soakLimits.restLookMs);
    const now = await lookAtRest(cluster);
    const isSame = [...now.counts].every(([of, count]) => before.counts.get(of) === count);
    if (isSame || Date.now() > until) return now;
    before = now;
  }
}

/** Memory of each process over that time. A process that is started anew begins a new series: it is not judged. */
async function sampled(cluster: SoakCluster, forMs: number): Promise<Map<string, MemorySample[]>> {
  const everyMs = Math.max(soakLimits.sampleMsMin, forMs / soakLimits.samplesMax);
  const series = new Map<string, MemorySample[]>();
  const beganAt = performance.now();
  while (performance.now() - beganAt < forMs) {
    await pause(everyMs);
    for (const [name, pid] of cluster.pids()) {
      const held = heldBy(pid);
      if (held === undefined || name === "plane-2") continue;
      const samples = series.get(name) ?? [];
      samples.push({ atMs: performance.now() - beganAt, rssBytes: held.rssBytes });
      series.set(name, samples);
    }
  }
  return series;
}

function growing(trends: ReadonlyMap<string, Trend>): string[] {
  return [...trends]
    .filter(([, { isFlat }]) => !isFlat)
    .map(
      ([name, { slopePer10Min, maxBytes, medianBytes }]) =>
        `${name} is not flat: ${(slopePer10Min * 100).toFixed(1)} % per 10 min, a peak of ${(maxBytes / medianBytes).toFixed(2)} times the median`,
    );
}

function ended(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string[] {
  return [...before]
    .filter(([name, pid]) => name !== "plane-2" && after.get(name) !== pid)
    .map(([name]) => `${name} is not the process that it was`);
}

/** Warnings of Node in what parts wrote and in what they were asked, and rejections that nobody handled. */
function complaints(cluster: SoakCluster, { probes }: AtRest): string[] {
  const found: string[] = [];
  for (const [id, log] of cluster.logs()) {
    const lines = log
      .split("\n")
      .filter((line) => /unhandled|uncaught|MaxListeners|Warning:|"level":"(?:error|fatal)"/i.test(line));
    if (lines.length > 0)
      found.push(`${lines.length} complaints of ${id}, the first: ${lines[0]?.slice(0, 300)}`);
  }
  for (const [id, { warnings }] of probes)
    if (warnings.length > 0) found.push(`${warnings.length} warnings of ${id}, the first: ${warnings[0]}`);
  return found;
}

/** A control plane that is restarted takes with it what it was asked; a command is not repeated here. */
function isExpected(what: string): boolean {
  return /: (?:COMMUNICATION_FAILURE|TIMEOUT|INSTANCE_UNAVAILABLE)$/.test(what);
}

/** V8 and the allocator grow for about a quarter of an hour under load and then stay: a run that is judged begins late in that. */
function warmUpMs(minutes: number): number {
  if (minutes >= soakLimits.judgedMinutesMin) return minutes * soakLimits.warmUpShare * 60_000;
  return Math.min(20_000, Math.max(2_500, minutes * 6_000));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
