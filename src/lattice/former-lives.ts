import { viewLimits } from "../limits.ts";
import type { Fact } from "../protocol/facts.ts";
import {
  createNodeView,
  type InstanceView,
  isLeftBehind,
  isPlaced,
  isStartedAfter,
  type LatticeView,
  type NodeView,
  supersedes,
} from "./view.ts";

/** Keeps of a life that is over how far it was heard, and what lived on it, unless that lives elsewhere already. */
export function endLife(view: LatticeView, node: NodeView): void {
  const { nodeId, epoch, seq, joined, certificates } = node;
  const former = { ...createNodeView(nodeId, epoch, node.lastHeardAt), seq, joined, certificates };
  for (const [instanceId, instance] of node.instances) {
    const { status } = instance;
    if (status === "stopped") keepEnded(view, node, instance);
    if (view.ended.get(instanceId) === instance) former.stopped.push(instanceId);
    const lived = status === "starting" || status === "running" || status === "backing-off";
    if (lived && !isSuperseded(view, node, instance)) keepOrphan(view, instance);
    if (isLeftBehind(view, instance)) former.instances.set(instanceId, instance);
  }
  view.former.set(nodeId, former);
}

function keepOrphan(view: LatticeView, instance: InstanceView): void {
  const { instanceId } = instance.spec;
  if (view.orphans.has(instanceId) && !isPlaced(view, instance)) return;
  view.orphans.set(instanceId, instance);
  const oldest = view.orphans.size > viewLimits.orphansMax ? view.orphans.keys().next().value : undefined;
  if (oldest !== undefined) view.orphans.delete(oldest);
}

function isSuperseded(view: LatticeView, than: NodeView, instance: InstanceView): boolean {
  const { instanceId, incarnation } = instance.spec;
  for (const node of view.nodes.values()) {
    const other = node === than ? undefined : node.instances.get(instanceId);
    if (other === undefined || other.spec.incarnation <= incarnation || !supersedes(other)) continue;
    if (!isStartedAfter(instance, other) && isPlaced(view, other)) return true;
  }
  return false;
}

/** Nothing is kept of what ended nowhere else, which is nearly everything. */
function keepEnded(view: LatticeView, node: NodeView, instance: InstanceView): void {
  const { instanceId, incarnation } = instance.spec;
  if (instance.cause === undefined || isSuperseded(view, node, instance)) return;
  const left = view.orphans.get(instanceId);
  const isLater =
    left !== undefined && left.spec.incarnation < incarnation && !isStartedAfter(left, instance);
  if (isLater && isPlaced(view, instance)) view.orphans.delete(instanceId);
  const hasEarlier = [...view.nodes.values()].some(
    (other) =>
      other !== node && (other.instances.get(instanceId)?.spec.incarnation ?? incarnation) < incarnation,
  );
  if (!hasEarlier || !isPlaced(view, instance)) return;
  view.ended.set(instanceId, instance);
  const oldest = view.ended.size > viewLimits.orphansMax ? view.ended.keys().next().value : undefined;
  if (oldest !== undefined) view.ended.delete(oldest);
}

/** An orphan ends with the next incarnation of it, wherever that is. */
export function adopt(view: LatticeView, node: NodeView, fact: Fact): void {
  if (fact.kind !== "instance.starting" || view.orphans.size + view.ended.size === 0) return;
  const { instanceId, incarnation } = fact.data.spec;
  const left = view.orphans.get(instanceId);
  if (left === undefined && !view.ended.has(instanceId)) return;
  const copy = node.instances.get(instanceId);
  if (copy !== undefined && !isPlaced(view, copy)) return;
  if (left !== undefined && left.spec.incarnation < incarnation) view.orphans.delete(instanceId);
  const ended = view.ended.get(instanceId);
  if (ended !== undefined && ended.spec.incarnation < incarnation) view.ended.delete(instanceId);
}
