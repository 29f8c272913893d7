import { soakLimits } from "./limits.ts";

/** What resident memory did over the last half of a run. */
export interface Trend {
  readonly medianBytes: number;
  readonly maxBytes: number;
  /** Of the line through the samples, as a share of the median. */
  readonly slopePer10Min: number;
  /** Standard deviation of the samples from that line. */
  readonly noiseBytes: number;
  readonly isFlat: boolean;
}

/** One look at the memory of a process. */
export interface MemorySample {
  readonly atMs: number;
  readonly rssBytes: number;
}

/**
 * Judges the last half of the samples: flat is a line that rises by no more than 2 % in ten minutes or stays within the
 * noise around it, and no peak beyond 1.1 times the median in the second half of that: one before it has gone again. Less than `slackBytes` of a rise, and than `peakSlackBytes` of a
 * peak, do not count.
 */
export function trendOf(samples: readonly MemorySample[]): Trend {
  const { slopePer10MinMax, noiseDeviations, peakMax, slackBytes, peakSlackBytes } = soakLimits;
  const half = samples.slice(Math.floor(samples.length / 2));
  const meanAt = mean(half.map(({ atMs }) => atMs));
  const meanBytes = mean(half.map(({ rssBytes }) => rssBytes));
  const spread = sum(half.map(({ atMs }) => (atMs - meanAt) ** 2));
  const together = sum(half.map(({ atMs, rssBytes }) => (atMs - meanAt) * (rssBytes - meanBytes)));
  const slope = spread === 0 ? 0 : together / spread;
  const lineAt = (atMs: number) => meanBytes + slope * (atMs - meanAt);
  const noiseBytes = Math.sqrt(mean(half.map(({ atMs, rssBytes }) => (rssBytes - lineAt(atMs)) ** 2)));
  const rises = half.map(({ rssBytes }) => rssBytes).toSorted((one, other) => one - other);
  const medianBytes = rises[Math.floor(rises.length / 2)] ?? 0;
  const maxBytes = Math.max(0, ...half.slice(Math.floor(half.length / 2)).map(({ rssBytes }) => rssBytes));
  const slopePer10Min = medianBytes === 0 ? 0 : (slope * 600_000) / medianBytes;
  const riseBytes = slope * ((half.at(-1)?.atMs ?? 0) - (half[0]?.atMs ?? 0));
  const isLevel =
    slopePer10Min <= slopePer10MinMax || riseBytes <= Math.max(noiseDeviations * noiseBytes, slackBytes);
  const hasNoPeak = maxBytes <= Math.max(peakMax * medianBytes, medianBytes + peakSlackBytes);
  return { medianBytes, maxBytes, slopePer10Min, noiseBytes, isFlat: isLevel && hasNoPeak };
}

/** One count that has to be at rest what it was, and by how much it may differ. */
export interface RestCount {
  readonly of: string;
  readonly before: number;
  readonly after: number;
  readonly slack: number;
}

/** What is more than it was when nothing ran before. */
export function leaksIn(counts: readonly RestCount[]): RestCount[] {
  return counts.filter(({ before, after, slack }) => after > before + slack);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : sum(values) / values.length;
}
