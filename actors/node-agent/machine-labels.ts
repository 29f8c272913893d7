import { arch, availableParallelism, cpus, hostname, platform, totalmem } from "node:os";

/** What the machine says of itself: `wasmatrix.arch`, `.os`, `.cpus` and `.memory` (bytes). */
function machineLabels(): Record<string, string> {
  return {
    "wasmatrix.arch": arch(),
    "wasmatrix.os": platform(),
    "wasmatrix.cpus": String(availableParallelism()),
    "wasmatrix.memory": String(totalmem()),
  };
}

/** Where and as what this process runs. */
function processIdentity(): { hostname: string; pid: number } {
  return { hostname: hostname(), pid: process.pid };
}

/** What the machine, or this process's control group, has left, in bytes. */
function memoryFreeBytes(): number {
  return process.availableMemory();
}

/**
 * Tells, each time it is asked, which share of the machine's processors was busy since the time before: 0 to 1 in
 * hundredths, undefined where the system's counters have not moved.
 */
function createCpuMeter(): () => number | undefined {
  let before = processorTimes();
  return () => {
    const now = processorTimes();
    const total = now.total - before.total;
    const idle = now.idle - before.idle;
    before = now;
    if (total <= 0) return undefined;
    return Math.round(Math.min(1, Math.max(0, 1 - idle / total)) * 100) / 100;
  };
}

/** Of all processors together since the machine started, ms. */
function processorTimes(): { total: number; idle: number } {
  let total = 0;
  let idle = 0;
  for (const { times } of cpus()) {
    total += times.user + times.nice + times.sys + times.irq + times.idle;
    idle += times.idle;
  }
  return { total, idle };
}

/** Resident bytes of this process. */
function ownRssBytes(): number {
  return process.memoryUsage.rss();
}

/** What a node tells of its machine, and where that comes from. */
export interface Machine {
  readonly machineLabels: () => Record<string, string>;
  readonly processIdentity: () => { hostname: string; pid: number };
  readonly memoryFreeBytes: () => number;
  readonly ownRssBytes: () => number;
  readonly createCpuMeter: () => () => number | undefined;
}

/** The machine that this process runs on. */
export const thisMachine: Machine = {
  machineLabels,
  processIdentity,
  memoryFreeBytes,
  ownRssBytes,
  createCpuMeter,
};
