import { cliLimits } from "../../src/limits.ts";

const steps = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** How long ago an ISO 8601 time is: `now`, `12s ago`, `3h ago`. */
export function ago(iso: string, nowMs: number): string {
  const passedMs = nowMs - Date.parse(iso);
  if (!Number.isFinite(passedMs)) return iso;
  return passedMs < 1_000 ? "now" : `${duration(passedMs)} ago`;
}

/** Milliseconds in their largest whole unit. */
export function duration(ms: number): string {
  for (const [unit, unitMs] of steps) if (ms >= unitMs) return `${Math.floor(ms / unitMs)}${unit}`;
  return `${Math.round(ms)}ms`;
}

/** Bytes in binary units, one decimal below ten. */
export function size(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (value < 1024)
      return `${value < 10 && unit !== "B" ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
  return `${Number(value.toFixed(1))} GiB`;
}

/** Enough of a digest to tell modules apart. */
export function shortDigest(digest: string): string {
  return digest.replace("sha256:", "").slice(0, cliLimits.shortDigestDigits);
}

/** Hours, minutes, seconds and milliseconds of an ISO 8601 time, UTC as everywhere. */
export function timeOfDay(iso: string): string {
  return iso.slice(11, 23);
}
