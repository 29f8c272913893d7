import { servingStatuses } from "../../src/lattice/provider-summary.ts";
import type { Desk } from "./desk.ts";
import { isOutOfReach } from "./summaries.ts";

/** How near a provider is to a node: hosted by it, hosted in its `zone`, or neither. */
export interface Nearness {
  readonly provider: string;
  readonly where: "here" | "zone" | "far";
}

/** What an assignment says of whom it needs. */
export interface Need {
  readonly provider?: string | undefined;
  readonly providerType: string;
}

/**
 * How near the providers that the assignments need are to each node. A provider that nobody serves now is left out: it
 * is equally far from all.
 */
export function nearnessTo(desk: Desk, needs: readonly Need[]): (nodeId: string) => readonly Nearness[] {
  const hosts = hostsOf(desk, needs);
  const zoneOf = (nodeId: string) => desk.view.nodes.get(nodeId)?.joined?.labels["zone"];
  const zones = new Map([...hosts].map(([name, ids]) => [name, new Set([...ids].map(zoneOf))]));
  return (nodeId) =>
    [...hosts].map(([provider, ids]) => {
      if (ids.has(nodeId)) return { provider, where: "here" };
      const zone = zoneOf(nodeId);
      const isNear = zone !== undefined && zones.get(provider)?.has(zone) === true;
      return { provider, where: isNear ? "zone" : "far" };
    });
}

/** The nodes that serve each provider that is needed, by its name. */
function hostsOf(desk: Desk, needs: readonly Need[]): Map<string, Set<string>> {
  const hosts = new Map<string, Set<string>>();
  for (const { provider, providerType } of needs) {
    // A guest that is called needs no provider between.
    if (providerType === "call") continue;
    const name = provider ?? providerType;
    const serving = [...desk.view.nodes.values()].filter((node) => {
      const status = node.providers.get(name)?.status;
      return status !== undefined && servingStatuses.has(status) && !isOutOfReach(desk, node.nodeId);
    });
    if (serving.length > 0) hosts.set(name, new Set(serving.map(({ nodeId }) => nodeId)));
  }
  return hosts;
}
