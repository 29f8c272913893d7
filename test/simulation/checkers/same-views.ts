import type { Look } from "../look.ts";
import type { Told, ToldView } from "../observations.ts";
import { latest } from "../truth.ts";

/**
 * P5, P9, P14: what a control plane tells is what the nodes say of themselves. Returns the first difference, or undefined; its
 * caller knows how long one may last.
 */
export function differenceOf(look: Look, host: string, told: ToldView): string | undefined {
  if (!told.view.complete)
    return `${host} does not call its view complete (gaps: ${told.view.gaps.join(" ")})`;
  return (
    nodesDiffer(look, host, told) ?? instancesDiffer(look, host, told) ?? providersDiffer(look, host, told)
  );
}

function nodesDiffer(look: Look, host: string, { nodes }: ToldView): string | undefined {
  const byId = new Map(nodes.map((node) => [node["nodeId"], node]));
  for (const truth of look.truth.nodes.values()) {
    const node = byId.get(truth.host);
    if (!truth.isAlive || truth.hasLeft) continue;
    if (node?.["epoch"] !== truth.epoch) return `${host} does not know the present life of ${truth.host}`;
    if (node["status"] === "lost" || node["status"] === "suspect" || node["status"] === "left")
      return `${host} calls ${truth.host} ${String(node["status"])}, which is there`;
  }
  return undefined;
}

function instancesDiffer(look: Look, host: string, { instances, assignments }: ToldView): string | undefined {
  const byId = new Map(instances.map((one) => [one["instanceId"] as string, one]));
  const granted = Map.groupBy(assignments, (one) => `${String(one["nodeId"])} ${String(one["instanceId"])}`);
  for (const node of look.truth.nodes.values()) {
    if (!node.isAlive) continue;
    for (const instanceId of node.instances.keys()) {
      const truth = latest(node, instanceId);
      if (truth === undefined || truth.status === "stopped") continue;
      const told = byId.get(instanceId);
      const shown = told === undefined ? "nothing" : textOf(told);
      const real = `${node.host} ${truth.status} ${truth.restarts} ${truth.spec.incarnation}`;
      if (shown !== real) return `${host} tells of ${instanceId}: ${shown}; it is: ${real}`;
      const grants = granted.get(`${node.host} ${instanceId}`) ?? [];
      const ids = grants
        .map((one) => String(one["capabilityId"]))
        .toSorted()
        .join(" ");
      if (ids !== truth.grants)
        return `${host} tells of ${instanceId} the grants "${ids}"; they are "${truth.grants}"`;
    }
  }
  for (const told of instances) {
    if (told["status"] === "stopped" || told["status"] === "unreachable") continue;
    const node = look.truth.nodes.get(told["nodeId"] as string);
    const truth = node?.isAlive === true ? latest(node, told["instanceId"] as string) : undefined;
    if (truth === undefined || truth.status === "stopped")
      return `${host} tells that ${String(told["instanceId"])} lives: ${textOf(told)}; it does not`;
  }
  return undefined;
}

function providersDiffer(look: Look, host: string, { providers }: ToldView): string | undefined {
  const byId = new Map(providers.map((one) => [`${String(one["nodeId"])} ${String(one["provider"])}`, one]));
  for (const node of look.truth.nodes.values()) {
    if (!node.isAlive) continue;
    for (const [provider, status] of node.providers) {
      const told = byId.get(`${node.host} ${provider}`)?.["status"];
      if (told !== status)
        return `${host} tells that provider ${provider} on ${node.host} is ${String(told)}; it is ${status}`;
    }
  }
  return undefined;
}

function textOf(told: Told): string {
  return `${String(told["nodeId"])} ${String(told["status"])} ${String(told["restarts"])} ${String(told["incarnation"])}`;
}
