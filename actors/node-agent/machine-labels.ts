import { arch, availableParallelism, hostname, platform, totalmem } from "node:os";

/** What the machine says of itself: `wasmatrix.arch`, `.os`, `.cpus` and `.memory` (bytes). */
export function machineLabels(): Record<string, string> {
  return {
    "wasmatrix.arch": arch(),
    "wasmatrix.os": platform(),
    "wasmatrix.cpus": String(availableParallelism()),
    "wasmatrix.memory": String(totalmem()),
  };
}

/** Where and as what this process runs. */
export function processIdentity(): { hostname: string; pid: number } {
  return { hostname: hostname(), pid: process.pid };
}

/** Resident bytes of this process. */
export function ownRssBytes(): number {
  return process.memoryUsage.rss();
}
