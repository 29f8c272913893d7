import type { SeedResult } from "../../../test/simulation/play-seed.ts";

/** What a campaign comes to. */
export interface Tally {
  add(result: SeedResult): void;
  readonly played: number;
  readonly failed: number;
  summary(tookMs: number): string;
}

/** An empty tally. */
export function createTally(): Tally {
  const faults = new Map<string, number>();
  const converged: number[] = [];
  let played = 0;
  let failed = 0;
  let signed = 0;
  let simulatedMs = 0;
  let deliveries = 0;
  let commands = 0;
  return {
    add(result) {
      played += 1;
      if (result.failures.length > 0) failed += 1;
      else converged.push(result.convergedMs);
      if (result.isSigned) signed += 1;
      simulatedMs += result.simulatedMs;
      deliveries += result.deliveries;
      commands += result.commands;
      for (const [kind, count] of Object.entries(result.faults))
        faults.set(kind, (faults.get(kind) ?? 0) + count);
    },
    get played() {
      return played;
    },
    get failed() {
      return failed;
    },
    summary(tookMs) {
      const sorted = converged.toSorted((one, other) => one - other);
      const at = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
      const total = [...faults.values()].reduce((sum, count) => sum + count, 0);
      const kinds = [...faults]
        .toSorted(([, one], [, other]) => other - one)
        .map(([kind, count]) => `${kind} ${count}`);
      return [
        `${played} seeds, ${failed} failed; ${(played / (tookMs / 1_000)).toFixed(1)} seeds a second, ${Math.round(tookMs / 1_000)} s`,
        `${(simulatedMs / 3_600_000).toFixed(1)} simulated hours, ${signed} lattices with signed commands, ${commands} commands, ${deliveries} messages delivered`,
        `${total} faults: ${kinds.join(", ")}`,
        `views were true ${at(0.5)} ms after the last disturbance (median), ${at(0.99)} ms (99 %), ${at(1)} ms (the longest)`,
      ].join("\n");
    },
  };
}

/** A failure, and the one command that shows it again. */
export function failureText(result: SeedResult, replay: string): string {
  const shown = result.failures
    .slice(0, 3)
    .map(({ checker, what, atMs }) => `  ${checker}, at ${(atMs / 1_000).toFixed(3)} s: ${what}`);
  return [`seed ${result.seed} failed`, ...shown, `  again: ${replay}`].join("\n");
}
