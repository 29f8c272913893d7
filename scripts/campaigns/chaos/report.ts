import { describeFault } from "./faults.ts";
import type { Ledger } from "./ledger.ts";
import { chaosLimits } from "./limits.ts";
import type { RoundResult } from "./round.ts";

/** One round as figures. */
export interface RoundFigures {
  readonly seed: number;
  readonly clean: boolean;
  readonly faults: readonly string[];
  readonly calls: {
    readonly done: number;
    readonly failed: Readonly<Record<string, number>>;
    readonly overdue: number;
    readonly slowestMs: number;
  };
  readonly commands: {
    readonly sent: number;
    readonly done: number;
    readonly refused: Readonly<Record<string, number>>;
    readonly slowestMs: number;
  };
  readonly losses: readonly string[];
  readonly noticedMs: readonly number[];
  readonly recoveredMs: readonly number[];
  readonly recoveryMs: number;
  readonly wrong: readonly string[];
  readonly repeat: string;
}

export function figuresOf(result: RoundResult, nodes: number): RoundFigures {
  const { seed, faults, ledger, losses, recoveryMs, wrong } = result;
  const { calls } = ledger;
  const defined = (value: number | undefined) => (value === undefined ? [] : [value]);
  return {
    seed,
    clean: wrong.length === 0,
    faults: faults.map(describeFault),
    calls: {
      done: calls.done,
      failed: sortedRecord(calls.failed),
      overdue: calls.overdue,
      slowestMs: calls.slowestMs,
    },
    commands: commandFigures(ledger),
    losses: losses.map(
      ({ nodeId, noticedMs, recoveredMs }) =>
        `${nodeId} ${noticedMs === undefined ? "came back unnoticed" : `noticed after ${noticedMs} ms, all there after ${recoveredMs} ms`}`,
    ),
    noticedMs: losses.flatMap(({ noticedMs }) => defined(noticedMs)),
    recoveredMs: losses.flatMap(({ recoveredMs }) => defined(recoveredMs)),
    recoveryMs,
    wrong,
    repeat: `scripts/chaos --seed ${seed} --rounds 1${nodes === 5 ? "" : ` --nodes ${nodes}`}`,
  };
}

/** A round as a person reads it. */
export function roundText(turn: number, figures: RoundFigures): string {
  const { seed, clean, faults, calls, commands, losses, recoveryMs, wrong, repeat } = figures;
  const shown = wrong.slice(0, chaosLimits.shownMax * 2);
  const more = wrong.length > shown.length ? [`  … and ${wrong.length - shown.length} more`] : [];
  return [
    `round ${turn} seed ${seed}: ${clean ? "clean" : "FAILED"}, right again ${recoveryMs} ms after the last fault`,
    `  faults    ${faults.join(" | ")}`,
    `  calls     ${calls.done} answered; failed: ${counts(calls.failed)}; slowest ${calls.slowestMs} ms, overdue ${calls.overdue}`,
    `  commands  ${commands.done} of ${commands.sent} done; others: ${counts(commands.refused)}; slowest ${commands.slowestMs} ms`,
    ...losses.map((one) => `  loss      ${one}`),
    ...shown.map((one) => `  WRONG     ${one}`),
    ...more,
    ...(clean ? [] : [`  repeat    ${repeat}`]),
  ].join("\n");
}

/** All rounds together. */
export function summaryText(all: readonly RoundFigures[]): string {
  const failed = all.filter(({ clean }) => !clean);
  const sum = (of: (one: RoundFigures) => number) => all.reduce((total, one) => total + of(one), 0);
  const lost = sum(({ calls }) => Object.values(calls.failed).reduce((total, count) => total + count, 0));
  return [
    `${all.length - failed.length} of ${all.length} rounds clean, ${sum(({ faults }) => faults.length)} faults`,
    `  calls     ${sum(({ calls }) => calls.done)} answered, ${lost} failed, ${sum(({ calls }) => calls.overdue)} overdue`,
    `  commands  ${sum(({ commands }) => commands.done)} of ${sum(({ commands }) => commands.sent)} done, all answered within ${Math.max(0, ...all.map(({ commands }) => commands.slowestMs))} ms`,
    `  noticed   ${spread(all.flatMap(({ noticedMs }) => noticedMs))}`,
    `  moved     ${spread(all.flatMap(({ recoveredMs }) => recoveredMs))}`,
    `  right     ${spread(all.filter(({ clean }) => clean).map(({ recoveryMs }) => recoveryMs))} after the last fault`,
    ...failed.map(({ repeat }) => `  failed    ${repeat}`),
  ].join("\n");
}

function commandFigures({ commands }: Ledger): RoundFigures["commands"] {
  const refused = new Map<string, number>();
  for (const { what, outcome } of commands) {
    if (outcome === "done") continue;
    const key = `${what} ${outcome.code}`;
    refused.set(key, (refused.get(key) ?? 0) + 1);
  }
  return {
    sent: commands.length,
    done: commands.filter(({ outcome }) => outcome === "done").length,
    refused: sortedRecord(refused),
    slowestMs: Math.max(0, ...commands.map(({ at, until }) => until - at)),
  };
}

function sortedRecord(map: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...map].toSorted(([, one], [, other]) => other - one));
}

function counts(record: Readonly<Record<string, number>>): string {
  return (
    Object.entries(record)
      .map(([code, count]) => `${count} ${code}`)
      .join(", ") || "none"
  );
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return "never";
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return `p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, most ${sorted.at(-1)} ms (${sorted.length} times)`;
}
