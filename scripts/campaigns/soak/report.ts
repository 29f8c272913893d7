import type { SoakResult } from "./run-soak.ts";

/** Figures of a run as plain data, for `--json`. */
export function figuresOf(result: SoakResult) {
  const { minutes, seed, doings, trends, counts, heaps, wrong } = result;
  return {
    minutes,
    seed,
    clean: wrong.length === 0,
    done: Object.fromEntries(doings.done),
    failed: Object.fromEntries(doings.failed),
    memory: Object.fromEntries(trends),
    heaps: Object.fromEntries(heaps),
    atRest: counts,
    wrong,
  };
}

/** The same for people. */
export function reportOf({
  minutes,
  seed,
  doings,
  trends,
  series,
  counts,
  heaps,
  wrong,
}: SoakResult): string {
  const memory = [...trends].map(([name, { medianBytes, maxBytes, slopePer10Min, isFlat }]) => [
    name,
    mb(series.get(name)?.[0]?.rssBytes ?? 0),
    mb(medianBytes),
    mb(maxBytes),
    `${(slopePer10Min * 100).toFixed(1)} %`,
    heaps.has(name) ? heaps.get(name)?.map(mb).join(" → ") : "",
    isFlat ? "flat" : "not flat",
  ]);
  const rest = counts
    .filter(({ before, after }) => before !== after)
    .map(({ of, before, after, slack }) => [
      of,
      `${before} → ${after}`,
      after > before + slack ? "leak" : "fine",
    ]);
  const done = [...doings.done].map(([what, count]) => [what, String(count)]);
  const failed = [...doings.failed].map(([what, count]) => [what, String(count)]);
  return [
    `${minutes} minutes, seed ${seed}`,
    "",
    table([["memory, MB", "first", "median*", "max*", "slope*/10 min", "heap at rest", ""], ...memory]),
    "* of the last half",
    "",
    table([["done", ""], ...done]),
    ...(failed.length === 0 ? [] : ["", table([["failed", ""], ...failed])]),
    "",
    `at rest ${counts.length} counts, ${rest.length} of them not what they were${rest.length === 0 ? "" : ":"}`,
    ...(rest.length === 0 ? [] : [table(rest)]),
    "",
    wrong.length === 0 ? "clean" : `NOT CLEAN\n${wrong.join("\n")}`,
  ].join("\n");
}

function table(rows: readonly (readonly (string | undefined)[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  return rows
    .map((row) =>
      row
        .map((cell = "", at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function mb(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
