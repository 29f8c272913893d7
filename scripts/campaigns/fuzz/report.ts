import { type JobFigures, percent } from "./run-job.ts";

/** What came of all jobs of one target. */
export interface TargetFigures extends Omit<JobFigures, "failure"> {
  readonly failures: readonly NonNullable<JobFigures["failure"]>[];
}

/** The figures of a target with those of one more job. */
export function totalsOf(before: TargetFigures | undefined, job: JobFigures): TargetFigures {
  const { failure, ...figures } = job;
  return {
    ...figures,
    cases: (before?.cases ?? 0) + figures.cases,
    taken: (before?.taken ?? 0) + figures.taken,
    ms: (before?.ms ?? 0) + figures.ms,
    slowestMs: Math.max(before?.slowestMs ?? 0, figures.slowestMs),
    heapGrowth: most(before?.heapGrowth, figures.heapGrowth),
    rssGrowth: most(before?.rssGrowth, figures.rssGrowth),
    failures: [...(before?.failures ?? []), ...(failure === undefined ? [] : [failure])],
  };
}

/** A table, and below it each failure with the line that replays it. */
export function reportOf(figures: readonly TargetFigures[], run: { seed: number; ms: number }): string {
  const total = figures.reduce((sum, { cases }) => sum + cases, 0);
  const failures = figures.flatMap(({ target, failures }) => failures.map((one) => ({ target, ...one })));
  const rows = figures.map(({ target, cases, taken, ms, slowestMs, heapGrowth, rssGrowth, failures }) => [
    target,
    String(cases),
    percent(taken / Math.max(1, cases)),
    String(Math.round((cases / ms) * 1_000)),
    slowestMs.toFixed(0),
    heapGrowth === undefined ? "–" : percent(heapGrowth),
    rssGrowth === undefined ? "–" : percent(rssGrowth),
    failures.length === 0 ? "" : "FAILED",
  ]);
  const titles = ["target", "cases", "taken", "cases/s", "slowest ms", "heap", "RSS", ""];
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd();
  const verdict = failures.length === 0 ? "nothing failed" : `${failures.length} failed`;
  return [
    line(titles),
    ...rows.map(line),
    "",
    `${total} cases in ${(run.ms / 1_000).toFixed(0)} s, seed ${run.seed}: ${verdict}`,
    ...failures.flatMap(({ target, what, replay }) => ["", `${target}: ${what}`, `replay: ${replay}`]),
  ].join("\n");
}

function most(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.max(one, other);
}
