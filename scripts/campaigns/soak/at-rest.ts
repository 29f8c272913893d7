import type { SoakCluster } from "./cluster.ts";
import { soakLimits } from "./limits.ts";
import { heldBy, probe, type Probed, subscriptionsOn } from "./sample.ts";
import { leaksIn, type RestCount } from "./verdict.ts";

/** What everything holds while no instance runs. */
export interface AtRest {
  /** By what is counted: `node-1 files`, `subscriptions of node node-1`. */
  readonly counts: ReadonlyMap<string, number>;
  readonly probes: ReadonlyMap<string, Probed>;
}

/** Looks once. */
export async function lookAtRest(cluster: SoakCluster): Promise<AtRest> {
  const counts = new Map<string, number>();
  for (const [name, pid] of cluster.pids()) {
    const held = heldBy(pid);
    if (held === undefined) continue;
    counts.set(`${name} files`, held.files);
    counts.set(`${name} threads`, held.threads);
  }
  for (const [name, count] of await subscriptionsOn(cluster.monitorUrl))
    counts.set(`subscriptions of ${name}`, count);
  const probes = new Map<string, Probed>();
  for (const { id, pid } of cluster.lasting) {
    const probed = await probe(pid, cluster.probeDirectory);
    probes.set(id, probed);
    counts.set(`${id} timers`, probed.resources["Timeout"] ?? 0);
  }
  return { counts, probes };
}

/** Looks until nothing is more than it was, or until that is hopeless. */
export async function compareAtRest(cluster: SoakCluster, before: AtRest) {
  const until = Date.now() + soakLimits.restMs;
  for (;;) {
    const after = await lookAtRest(cluster);
    const counts = differences(before, after);
    if (leaksIn(counts).length === 0 || Date.now() > until) return { after, counts };
    await new Promise((resolve) => setTimeout(resolve, soakLimits.restLookMs));
  }
}

function differences(before: AtRest, after: AtRest): RestCount[] {
  return [...after.counts].map(([of, count]) => ({
    of,
    before: before.counts.get(of) ?? 0,
    after: count,
    slack: slackOf(of),
  }));
}

function slackOf(of: string): number {
  // The server's own threads follow its connections, in Go's own time.
  if (of === "nats threads") return 4 * soakLimits.poolThreadsSlack;
  if (of.endsWith(" threads")) return soakLimits.poolThreadsSlack;
  if (of.endsWith(" files")) return soakLimits.filesSlack;
  return of.endsWith(" timers") ? soakLimits.timersSlack : 0;
}
