import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What one process holds, as the kernel sees it. */
export interface Held {
  readonly rssBytes: number;
  readonly threads: number;
  readonly files: number;
}

/** What a process says of itself, after a garbage collection. */
export interface Probed {
  /** Active timers, sockets and so on, by kind. */
  readonly resources: Readonly<Record<string, number>>;
  readonly heapBytes: number;
  readonly warnings: readonly string[];
}

/** Subscriptions of each connection, by its name; of those that share a name, all together. */
export type Subscriptions = ReadonlyMap<string, number>;

/** What a process holds now; undefined where it is gone. */
export function heldBy(pid: number): Held | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const numberOf = (field: string) =>
      Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
    return {
      rssBytes: numberOf("VmRSS") * 1_024,
      threads: numberOf("Threads"),
      files: readdirSync(`/proc/${pid}/fd`).length,
    };
  } catch {
    return undefined;
  }
}

/** The processes that a process has started. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** Whether the process is the engine of a node. */
export function isEngine(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("engine-main");
  } catch {
    return false;
  }
}

/** Asks the server's monitor. */
export async function subscriptionsOn(monitorUrl: string): Promise<Subscriptions> {
  const answer = await fetch(`${monitorUrl}/connz?limit=1024`);
  const { connections } = (await answer.json()) as {
    connections: { name?: string; subscriptions: number }[];
  };
  const counts = new Map<string, number>();
  for (const { name = "", subscriptions } of connections)
    counts.set(name, (counts.get(name) ?? 0) + subscriptions);
  return counts;
}

/** Asks a process that was started with the probe; rejects where it does not answer. */
export async function probe(pid: number, directory: string): Promise<Probed> {
  const askedAt = Date.now();
  process.kill(pid, "SIGUSR2");
  for (let tries = 0; tries < 200; tries += 1) {
    try {
      const told = JSON.parse(readFileSync(join(directory, `${pid}.probe`), "utf8")) as Probed & {
        at: number;
      };
      if (told.at >= askedAt) return told;
    } catch {
      // It has not written, or not all of it.
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`process ${pid} does not answer its probe`);
}
