import { createLatticeWatch } from "../../../actors/lattice-watch/lattice-watch.ts";
import { ask } from "../../../src/bus/ask.ts";
import type { Bus } from "../../../src/bus/bus.ts";
import { delay, systemClock } from "../../../src/clock.ts";
import type { InstanceView, LatticeView } from "../../../src/lattice/view.ts";
import { createLog } from "../../../src/log.ts";
import { filterFor } from "../../../src/protocol/addresses.ts";
import type { Cluster } from "./cluster.ts";
import { chaosLimits } from "./limits.ts";

/** One living copy of an instance, as its node or a control plane tells it. */
export interface Copy {
  readonly instanceId: string;
  readonly name: string;
  readonly nodeId: string;
  readonly incarnation: number;
  readonly status: string;
  readonly grants: readonly string[];
}

/** What one answer of some control plane says. */
export interface PlaneView {
  /** Over which server it was asked. */
  readonly server: string;
  readonly complete: boolean;
  readonly gaps: readonly string[];
  readonly copies: readonly Copy[];
}

/** The lattice as it is: from the nodes, from the control planes, and from the servers. */
export interface Truth {
  /** Nodes that did not tell everything. */
  readonly silent: readonly string[];
  readonly copies: readonly Copy[];
  readonly views: readonly PlaneView[];
  /** Subscriptions for the calls of each id or name, over all servers. */
  readonly subscriptions: ReadonlyMap<string, number>;
}

/** An operator's connection to each server, by its id. */
export type Buses = ReadonlyMap<string, Bus>;

/** Asks everybody, now: the nodes as an observer, who alone may, and may nothing else. Rejects when one of them cannot be asked. */
export async function tellTruth(cluster: Cluster, buses: Buses, observer: Bus): Promise<Truth> {
  const nodes = await askNodes(cluster, observer);
  const [views, subscriptions] = await Promise.all([askPlanes(cluster, buses), askServers(cluster)]);
  return { ...nodes, views, subscriptions };
}

/** Each node's own table, told afresh. */
async function askNodes(cluster: Cluster, bus: Bus): Promise<Pick<Truth, "silent" | "copies">> {
  const { lattice } = cluster;
  const log = createLog({ component: "control-plane", lattice }, { level: "silent", pretty: false });
  const watch = createLatticeWatch({ lattice, bus, clock: systemClock, log });
  const expected = [...cluster.of("node"), ...cluster.of("provider")].map(({ id }) => id);
  const missing = ({ nodes }: LatticeView) =>
    expected.filter((id) => nodes.get(id)?.knowledge !== "complete");
  watch.start();
  try {
    const untilMs = Date.now() + chaosLimits.askMs;
    while (missing(watch.view).length > 0 && Date.now() < untilMs) await delay(systemClock, 20);
    const all = [...watch.view.nodes.values()].flatMap((node) => [...node.instances.values()]);
    return {
      silent: missing(watch.view),
      copies: all.filter(({ status }) => status !== "stopped").map(copyOf),
    };
  } finally {
    watch.stop();
  }
}

function copyOf({ spec, nodeId, status, assignments }: InstanceView): Copy {
  const { instanceId, name = "", incarnation } = spec;
  return { instanceId, name, nodeId, incarnation, status, grants: [...assignments.keys()].toSorted() };
}

/** A server hands a question to a control plane of its own clients first, so each server is asked, and more than once. */
async function askPlanes(cluster: Cluster, buses: Buses): Promise<PlaneView[]> {
  const { lattice } = cluster;
  const options = { timeoutMs: chaosLimits.askMs };
  const views: PlaneView[] = [];
  for (const [server, bus] of buses) {
    for (let turn = 0; turn < chaosLimits.answersPerServer; turn += 1) {
      const [listed, granted] = await Promise.all([
        ask(bus, "ctl.instance.list", { lattice }, {}, options),
        ask(bus, "ctl.capability.list", { lattice }, {}, options),
      ]);
      const grants = Map.groupBy(granted.assignments, ({ instanceId }) => instanceId);
      const copies = listed.instances.map(({ instanceId, name = "", nodeId, incarnation, status }) => ({
        instanceId,
        name,
        nodeId,
        incarnation,
        status,
        grants: (grants.get(instanceId) ?? []).map(({ capabilityId }) => capabilityId).toSorted(),
      }));
      views.push({ server, ...listed.view, copies });
    }
  }
  return views;
}

async function askServers(cluster: Cluster): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  // `wasmatrix.call.v1.<lattice>.<target>.<operation>`
  const [before = "", after = ""] = filterFor("call", { lattice: cluster.lattice, target: "TARGET" }).split(
    "TARGET",
  );
  for (const { monitorUrl } of cluster.servers) {
    const answer = await fetch(`${monitorUrl}/connz?subs=1&limit=1024`, {
      signal: AbortSignal.timeout(chaosLimits.askMs),
    });
    const { connections } = (await answer.json()) as { connections: { subscriptions_list?: string[] }[] };
    for (const subject of connections.flatMap((one) => one.subscriptions_list ?? [])) {
      if (!subject.startsWith(before) || !subject.endsWith(after)) continue;
      const target = subject.slice(before.length, -after.length);
      counts.set(target, (counts.get(target) ?? 0) + 1);
    }
  }
  return counts;
}
