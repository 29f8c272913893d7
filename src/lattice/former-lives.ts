import { viewLimits } from "../limits.ts";
import type { Fact } from "../protocol/facts.ts";
import {
  createNodeView,
  endsWith,
  type InstanceView,
  isLaterCopy,
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
  const { instanceId } = instance.spec;
  for (const node of view.nodes.values()) {
    const other = node === than ? undefined : node.instances.get(instanceId);
    if (other === undefined || isStartedAfter(instance, other)) continue;
    const isLater = isLaterCopy(other, instance) && supersedes(other);
    if ((isLater || endsWith(instance, other)) && isPlaced(view, other)) return true;
  }
  return false;
}

/**
 * Nothing is kept of what ended nowhere else, which is nearly everything. Of a later incarnation an earlier copy may be on a node
 * that was never heard of here.
 */
function keepEnded(view: LatticeView, node: NodeView, instance: InstanceView): void {
  const { instanceId, incarnation } = instance.spec;
  if (instance.cause === undefined || isSuperseded(view, node, instance)) return;
  const left = view.orphans.get(instanceId);
  if (left !== undefined && isOverWith(left, instance) && isPlaced(view, instance))
    view.orphans.delete(instanceId);
  const hasOther = [...view.nodes.values()].some((other) => {
    const copy = other === node ? undefined : other.instances.get(instanceId);
    return copy !== undefined && (copy.spec.incarnation < incarnation || endsWith(copy, instance));
  });
  if (!(hasOther || incarnation > 1) || !isPlaced(view, instance)) return;
  view.ended.set(instanceId, instance);
  const oldest = view.ended.size > viewLimits.orphansMax ? view.ended.keys().next().value : undefined;
  if (oldest !== undefined) view.ended.delete(oldest);
}

/** Whether what a life of a node left behind is over since that copy was stopped. */
function isOverWith(left: InstanceView, stopped: InstanceView): boolean {
  if (isStartedAfter(left, stopped)) return false;
  return left.spec.incarnation < stopped.spec.incarnation || endsWith(left, stopped);
}

/** An orphan ends with the next incarnation of it, wherever that is, and with a copy that a command stops. */
export function adopt(view: LatticeView, node: NodeView, fact: Fact): void {
  if (view.orphans.size + view.ended.size === 0) return;
  if (fact.kind === "instance.stopped") {
    const stopped = node.instances.get(fact.data.instanceId);
    const left = view.orphans.get(fact.data.instanceId);
    if (stopped === undefined || left === undefined || !endsWith(left, stopped)) return;
    if (isPlaced(view, stopped)) view.orphans.delete(fact.data.instanceId);
    return;
  }
  if (fact.kind !== "instance.starting") return;
  const { instanceId, incarnation } = fact.data.spec;
  const left = view.orphans.get(instanceId);
  if (left === undefined && !view.ended.has(instanceId)) return;
  const copy = node.instances.get(instanceId);
  if (copy !== undefined && !isPlaced(view, copy)) return;
  if (left !== undefined && left.spec.incarnation < incarnation) view.orphans.delete(instanceId);
  const ended = view.ended.get(instanceId);
  if (ended !== undefined && ended.spec.incarnation < incarnation) view.ended.delete(instanceId);
}
