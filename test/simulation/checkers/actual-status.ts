import type { Look } from "../look.ts";
import type { Checker, Told, ToldView } from "../observations.ts";
import { asOf, type NodeTruth } from "../truth.ts";

/**
 * P13, P14: what a control plane tells of a node that it calls complete is what that node's facts said up to the latest one that
 * was heard in order, and it calls nothing complete of which a fact is missing.
 */
export function checkActualStatus(look: Look): Checker {
  /** Listener and node of which a fact was garbled, and its number: a heartbeat after it has to come first, whose digest differs. */
  const garbled = new Map<string, number>();
  /** The same, until a replay has come that is later: from that heartbeat on the listener rightly doubts what it was told. */
  const unsure = new Map<string, number>();
  /** Listener, node and life of which another control plane has told it more than it has heard itself. */
  const recalled = new Set<string>();

  function checkNode(host: string, told: ToldView, node: Told): void {
    const nodeId = node["nodeId"] as string;
    const heard = look.hearing.of(host, nodeId);
    const truth = look.truth.nodes.get(nodeId);
    if (heard === undefined || heard.epoch !== node["epoch"]) return;
    if (recalled.has(`${host} ${nodeId} ${heard.epoch}`)) return;
    if (heard.isGap && (node["complete"] === true || told.view.complete)) {
      look.fail(`${host} calls its view of ${nodeId} complete although facts after ${heard.seq} are missing`);
      return;
    }
    if (node["complete"] !== true && !heard.isGap && !unsure.has(`${host} ${nodeId}`))
      look.fail(`${host} doubts its view of ${nodeId}, of which it has heard every fact up to ${heard.seq}`);
    if (node["complete"] !== true || heard.isGap || truth === undefined || truth.epoch !== heard.epoch)
      return;
    if (garbled.has(`${host} ${nodeId}`)) return;
    const byId = new Map(told.instances.map((one) => [one["instanceId"] as string, one]));
    const grants = grantsOn(told, nodeId);
    for (const instanceId of truth.instances.keys())
      checkInstance(host, truth, heard.seq, instanceId, byId.get(instanceId), grants.get(instanceId) ?? "");
  }

  function checkInstance(
    host: string,
    node: NodeTruth,
    seq: number,
    instanceId: string,
    told: Told | undefined,
    grants: string,
  ): void {
    const truth = asOf(node, instanceId, seq);
    if (truth === undefined) return;
    if (told === undefined) {
      if (truth.status !== "stopped")
        look.fail(
          `${host} has forgotten ${instanceId}, which ${node.host} said is ${truth.status} (fact ${truth.seq})`,
        );
      return;
    }
    if (told["nodeId"] !== node.host || told["status"] === "unreachable") return;
    // The later copy that a command has stopped on a former life of that node: it still counts.
    if (told["status"] === "stopped" && (told["incarnation"] as number) > truth.spec.incarnation) return;
    const shown = `${String(told["status"])} with ${String(told["restarts"])} restarts, incarnation ${String(told["incarnation"])}`;
    const real = `${truth.status} with ${truth.restarts} restarts, incarnation ${truth.spec.incarnation}`;
    if (shown !== real)
      look.fail(`${host} tells that ${instanceId} on ${node.host} is ${shown}; by fact ${seq} it is ${real}`);
    else if (truth.status !== "stopped" && grants !== truth.grants)
      look.fail(
        `${host} tells the grants "${grants}" of ${instanceId} on ${node.host}; by fact ${seq} they are "${truth.grants}"`,
      );
  }

  return (seen) => {
    if (seen.type === "recalled")
      for (const { node, epoch } of seen.parts) recalled.add(`${seen.host} ${node} ${epoch}`);
    if (seen.type === "garbled") {
      garbled.set(`${seen.host} ${seen.node}`, seen.seq);
      unsure.set(`${seen.host} ${seen.node}`, seen.seq);
    }
    if (seen.type === "began")
      for (const key of unsure.keys())
        if (key.startsWith(`${seen.host} `)) {
          garbled.delete(key);
          unsure.delete(key);
        }
    if (
      seen.type === "heard" &&
      seen.said.kind === "node.replay" &&
      seen.said.seq >= (unsure.get(`${seen.host} ${seen.said.node}`) ?? 0) &&
      !garbled.has(`${seen.host} ${seen.said.node}`)
    )
      unsure.delete(`${seen.host} ${seen.said.node}`);
    if (seen.type === "heard" && seen.said.kind === "node.heartbeat") {
      const heard = look.hearing.of(seen.host, seen.said.node);
      if (
        heard !== undefined &&
        heard.epoch === seen.said.epoch &&
        !heard.isGap &&
        heard.seq === seen.said.seq &&
        heard.seq >= (garbled.get(`${seen.host} ${seen.said.node}`) ?? 0)
      )
        garbled.delete(`${seen.host} ${seen.said.node}`);
    }
    if (seen.type !== "told") return;
    for (const node of seen.view.nodes) checkNode(seen.host, seen.view, node);
  };
}

function grantsOn({ assignments }: ToldView, nodeId: string): Map<string, string> {
  const here = assignments.filter((one) => one["nodeId"] === nodeId);
  const byInstance = Map.groupBy(here, (one) => one["instanceId"] as string);
  return new Map(
    [...byInstance].map(([id, those]) => [
      id,
      those
        .map((one) => String(one["capabilityId"]))
        .toSorted()
        .join(" "),
    ]),
  );
}
