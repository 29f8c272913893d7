import { providerSummary } from "../../src/lattice/provider-summary.ts";
import {
  allInstances,
  isOrphan,
  type InstanceView,
  type NodeView,
  takesPrecedence,
  type ProviderView,
} from "../../src/lattice/view.ts";
import { versionLimits } from "../../src/limits.ts";
import type { NodeSummary, ProviderSummary } from "../../src/protocol/commands.ts";
import type { InstanceDetail, InstanceStatus, InstanceSummary } from "../../src/protocol/instance-spec.ts";
import { isOurMajor, protocolVersion } from "../../src/protocol/version.ts";
import { copiesOn } from "./copies-on-node.ts";
import type { Desk } from "./desk.ts";
import { withoutProof } from "./signed-grants.ts";

/** Whether the node cannot be asked: silent for long, or gone by its own word. */
export function isOutOfReach({ view, presence }: Desk, nodeId: string): boolean {
  return view.nodes.get(nodeId)?.status === "left" || presence.statusOf(nodeId) === "lost";
}

/** An instance's status as it can be told: nothing lives that is known of a node out of reach. */
export function statusOf(desk: Desk, instance: InstanceView): InstanceStatus {
  if (isOrphan(desk.view, instance)) return "unreachable";
  if (instance.status === "stopped" || !isOutOfReach(desk, instance.nodeId)) return instance.status;
  return "unreachable";
}

/** Each instance once: of several copies the one that counts. In the order of their ids. */
export function instancesOf(desk: Desk): InstanceView[] {
  const best = new Map<string, InstanceView>();
  for (const instance of allInstances(desk.view)) {
    const other = best.get(instance.spec.instanceId);
    if (other === undefined || isBetter(desk, instance, other)) best.set(instance.spec.instanceId, instance);
  }
  return [...best.values()].toSorted(byId);
}

/** What a life of a node left behind is gone for sure: whatever lives is better, be it an earlier copy that came back. */
function isBetter(desk: Desk, one: InstanceView, other: InstanceView): boolean {
  const [isGone, otherIsGone] = [isOrphan(desk.view, one), isOrphan(desk.view, other)];
  if (isGone && !otherIsGone && other.status !== "stopped") return false;
  if (otherIsGone && !isGone && one.status !== "stopped") return true;
  return takesPrecedence(desk.view, one, other);
}

export function summarizeInstance(desk: Desk, instance: InstanceView): InstanceSummary {
  const { instanceId, name, moduleHash, createdAt, incarnation, audit } = instance.spec;
  return {
    instanceId,
    nodeId: instance.nodeId,
    ...(name === undefined ? {} : { name }),
    moduleHash,
    createdAt,
    status: statusOf(desk, instance),
    incarnation,
    restarts: instance.restarts,
    since: instance.since,
    ...(audit === true ? { audit } : {}),
  };
}

export function describeInstance(desk: Desk, instance: InstanceView): InstanceDetail {
  const { restartPolicy, limits, config, spread, pinnedTo } = instance.spec;
  const summary = summarizeInstance(desk, instance);
  const reason =
    summary.status === "unreachable"
      ? `node ${instance.nodeId} ${isOrphan(desk.view, instance) ? "began a new life without it" : "is not heard of any more"}; its last word was ${instance.status}`
      : instance.reason;
  return {
    ...summary,
    restartPolicy,
    capabilities: [...instance.assignments.values()].map(withoutProof),
    limits,
    config,
    ...(instance.spec.moduleSource === undefined ? {} : { moduleSource: instance.spec.moduleSource }),
    ...(spread === undefined ? {} : { spread }),
    ...(pinnedTo === undefined ? {} : { pinnedTo }),
    ...(instance.lastCrash === undefined ? {} : { lastCrash: instance.lastCrash }),
    ...(reason === undefined || reason === "" ? {} : { reason }),
  };
}

/** What it says of itself while it is in reach, and else what is known of its silence. */
export function statusOfNode({ presence }: Desk, { nodeId, status }: NodeView): NodeSummary["status"] {
  const judged = presence.statusOf(nodeId);
  return status === "left" || judged === "alive" ? status : judged;
}

/** Why it is given no work whatever its status is; undefined for nearly all. */
export function reasonAgainst(node: NodeView): string | undefined {
  return versionOf(node).reason;
}

export function summarizeNode(desk: Desk, node: NodeView): NodeSummary {
  return {
    nodeId: node.nodeId,
    epoch: node.epoch,
    status: statusOfNode(desk, node),
    complete: node.knowledge === "complete",
    labels: node.joined?.labels ?? {},
    guestKinds: node.joined?.guestKinds ?? [],
    instances: copiesOn(node).living,
    instancesMax: node.joined?.instancesMax ?? 0,
    ...(node.load?.rssBytes === undefined ? {} : { rssBytes: node.load.rssBytes }),
    ...(node.load?.cpu === undefined ? {} : { cpu: node.load.cpu }),
    ...(node.load?.memoryFreeBytes === undefined ? {} : { memoryFreeBytes: node.load.memoryFreeBytes }),
    ...(node.load?.busRefused === undefined ? {} : { busRefused: node.load.busRefused }),
    productVersion: node.joined?.productVersion ?? "",
    hostname: node.joined?.hostname ?? "",
    startedAt: new Date(node.epoch).toISOString(),
    lastHeardAt: new Date(node.lastHeardAt).toISOString(),
    ...versionOf(node),
  };
}

/** What it speaks, and that this is not understood here. */
function versionOf({ joined }: NodeView): Pick<NodeSummary, "protocolVersion" | "reason"> {
  if (joined === undefined) return {};
  const spoken = joined.protocolVersion.slice(0, versionLimits.versionCharactersMax);
  if (isOurMajor(spoken)) return { protocolVersion: spoken };
  const reason = `VERSION_MISMATCH: it speaks protocol ${spoken}, this control plane ${protocolVersion}`;
  return { protocolVersion: spoken, reason };
}

export function summarizeProvider(desk: Desk, provider: ProviderView): ProviderSummary {
  const { address, ...summary } = providerSummary(provider);
  const unreachable = provider.status !== "stopped" && isOutOfReach(desk, provider.nodeId);
  if (unreachable) return { ...summary, status: "unreachable" };
  return address === undefined ? summary : { ...summary, address };
}

function byId(one: InstanceView, other: InstanceView): number {
  return one.spec.instanceId < other.spec.instanceId ? -1 : 1;
}
