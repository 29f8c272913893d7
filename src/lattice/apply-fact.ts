import { proofLimits, viewLimits } from "../limits.ts";
import type { Fact, FactReplay, ProviderInfo } from "../protocol/facts.ts";
import type { InstanceStatus } from "../protocol/instance-spec.ts";
import { auditFact } from "./audit.ts";
import { digestText, forget } from "./digest.ts";
import {
  createNodeView,
  type Doubt,
  type InstanceView,
  isLeftBehind,
  isPlaced,
  supersedes,
  type LatticeView,
  type NodeView,
  type ProviderView,
} from "./view.ts";

/**
 * Adds one fact to the view. What is old, repeated or of a former life changes nothing; what shows that
 * something was missed leaves the node in doubt, and the doubt is returned so that somebody asks.
 * No clock, no chance, no I/O: the same facts in the same order give the same view. The view is changed in place.
 *
 * @param heardAt the listener's clock, ms since 1970; only kept as `lastHeardAt`.
 */
export function applyFact(view: LatticeView, fact: Fact, heardAt: number): Doubt | undefined {
  let node = view.nodes.get(fact.node);
  if (node !== undefined && fact.epoch < node.epoch) return undefined;
  if (node === undefined || fact.epoch > node.epoch) {
    if (node !== undefined) endLife(view, node);
    node = createNodeView(fact.node, fact.epoch, heardAt);
    node.knowledge = fact.kind === "node.joined" && fact.seq === 1 ? "complete" : "gap";
    view.nodes.set(fact.node, node);
    view.replays.delete(fact.node);
    if (node.knowledge === "gap") keepEarly(node, fact);
    else take(view, node, fact);
    return node.knowledge === "gap" ? { nodeId: fact.node, reason: "unknown-node" } : undefined;
  }
  node.lastHeardAt = heardAt;
  return node.knowledge === "gap" ? keepEarly(node, fact) : applyInOrder(view, node, fact);
}

/**
 * Adds one part of a replay; the node's part of the view is replaced once all parts are there, and what came
 * later by itself is put on top.
 */
export function applyReplay(view: LatticeView, replay: FactReplay, heardAt: number): Doubt | undefined {
  const known = view.nodes.get(replay.node);
  if (known !== undefined) {
    if (replay.epoch < known.epoch) return undefined;
    if (replay.epoch === known.epoch) {
      known.lastHeardAt = heardAt;
      const stale = known.knowledge === "complete" ? replay.seq <= known.seq : replay.seq < known.seq;
      if (stale) return undefined;
    }
  }
  const facts = allParts(view, replay);
  if (facts === undefined) return undefined;
  view.replays.delete(replay.node);

  return replaceLife(view, replay, facts, heardAt);
}

/** A life of a node as somebody else heard it. */
export type RecalledLife = Pick<NodeView, "nodeId" | "epoch" | "seq" | "lastHeardAt"> & {
  readonly facts: readonly Fact[];
};

/**
 * Takes what somebody else has heard of a life of a node that nobody can ask any more: it counts where less of that life was heard
 * here, or none. Returns whether it did.
 */
export function applyRecalled(view: LatticeView, life: RecalledLife): boolean {
  const { nodeId, epoch, seq } = life;
  const known = view.nodes.get(nodeId);
  if (known === undefined || known.epoch <= epoch) {
    if (known?.epoch === epoch && known.seq >= seq) return false;
    const heardAt = known?.epoch === epoch ? known.lastHeardAt : life.lastHeardAt;
    replaceLife(view, { node: nodeId, epoch, seq }, life.facts, heardAt);
    return true;
  }
  const former = view.former.get(nodeId);
  if (former !== undefined && (former.epoch > epoch || (former.epoch === epoch && former.seq >= seq)))
    return false;
  if (former?.epoch === epoch)
    for (const [instanceId, copy] of former.instances) {
      if (view.orphans.get(instanceId) === copy) view.orphans.delete(instanceId);
      if (view.ended.get(instanceId) === copy) view.ended.delete(instanceId);
    }
  const node = createNodeView(nodeId, epoch, life.lastHeardAt);
  for (const fact of life.facts) change(node, fact);
  node.seq = seq;
  endLife(view, node);
  return true;
}

function replaceLife(
  view: LatticeView,
  { node: nodeId, epoch, seq }: Pick<FactReplay, "node" | "epoch" | "seq">,
  facts: readonly Fact[],
  heardAt: number,
): Doubt | undefined {
  const known = view.nodes.get(nodeId);
  if (known !== undefined && known.epoch < epoch) endLife(view, known);
  const node = createNodeView(nodeId, epoch, heardAt);
  for (const fact of facts) change(node, fact);
  node.seq = seq;
  view.nodes.set(nodeId, node);
  for (const fact of facts) adopt(view, node, fact);
  const later = known?.epoch === epoch ? known.early : [];
  return later
    .toSorted((one, other) => one.seq - other.seq)
    .reduce<Doubt | undefined>(
      (doubt, fact) =>
        (node.knowledge === "gap" ? keepEarly(node, fact) : applyInOrder(view, node, fact)) ?? doubt,
      undefined,
    );
}

function applyInOrder(view: LatticeView, node: NodeView, fact: Fact): Doubt | undefined {
  if (fact.kind === "node.heartbeat") {
    if (fact.seq < node.seq) return undefined;
    if (fact.seq > node.seq) return enterGap(node, "gap");
    node.load = fact.data.load;
    return digestText(node.digest) === fact.data.digest ? undefined : enterGap(node, "digest");
  }
  if (fact.seq <= node.seq) return undefined;
  if (fact.seq > node.seq + 1) {
    enterGap(node, "gap");
    return keepEarly(node, fact);
  }
  take(view, node, fact);
  return undefined;
}

function enterGap(node: NodeView, reason: Doubt["reason"]): Doubt {
  node.knowledge = "gap";
  return { nodeId: node.nodeId, reason };
}

function keepEarly(node: NodeView, fact: Fact): Doubt {
  if (fact.kind !== "node.heartbeat") {
    node.early.push(fact);
    // The oldest goes first: the replay that ends the gap will hold it, the newest may not be in it.
    if (node.early.length > viewLimits.earlyFactsMax) node.early.shift();
  }
  return { nodeId: node.nodeId, reason: "gap" };
}

function allParts(view: LatticeView, replay: FactReplay): readonly Fact[] | undefined {
  if (replay.count > viewLimits.replayPartsMax || replay.index >= replay.count) return undefined;
  let partial = view.replays.get(replay.node);
  if (partial?.replayId !== replay.replayId) {
    partial = { replayId: replay.replayId, parts: new Map() };
    view.replays.set(replay.node, partial);
  }
  partial.parts.set(replay.index, replay.facts);
  if (partial.parts.size < replay.count) return undefined;
  return [...partial.parts].toSorted(([one], [other]) => one - other).flatMap(([, facts]) => facts);
}

function take(view: LatticeView, node: NodeView, fact: Fact): void {
  change(node, fact);
  adopt(view, node, fact);
  node.seq = fact.seq;
}

/** Keeps of a life that is over how far it was heard, and what lived on it, unless that lives elsewhere already. */
function endLife(view: LatticeView, node: NodeView): void {
  const { nodeId, epoch, seq, joined, certificates } = node;
  const former = { ...createNodeView(nodeId, epoch, node.lastHeardAt), seq, joined, certificates };
  for (const [instanceId, instance] of node.instances) {
    const { status, spec } = instance;
    if (status === "stopped") keepEnded(view, node, instance);
    if (view.ended.get(instanceId) === instance) former.stopped.push(instanceId);
    const lived = status === "starting" || status === "running" || status === "backing-off";
    if (lived && !isSuperseded(view, node, instanceId, spec.incarnation)) keepOrphan(view, instance);
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

function isSuperseded(view: LatticeView, than: NodeView, instanceId: string, incarnation: number): boolean {
  for (const node of view.nodes.values()) {
    const other = node === than ? undefined : node.instances.get(instanceId);
    if (other === undefined || other.spec.incarnation <= incarnation || !supersedes(other)) continue;
    if (isPlaced(view, other)) return true;
  }
  return false;
}

/** Nothing is kept of what ended nowhere else, which is nearly everything. */
function keepEnded(view: LatticeView, node: NodeView, instance: InstanceView): void {
  const { instanceId, incarnation } = instance.spec;
  if (instance.cause === undefined || isSuperseded(view, node, instanceId, incarnation)) return;
  const left = view.orphans.get(instanceId);
  const isLater = left !== undefined && left.spec.incarnation < incarnation;
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
function adopt(view: LatticeView, node: NodeView, fact: Fact): void {
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

/** What each kind of fact changes in its node's part of the view. */
function change(node: NodeView, fact: Fact): void {
  switch (fact.kind) {
    case "node.joined":
      node.joined = fact.data;
      return;
    case "node.draining":
      node.status = "draining";
      return;
    case "node.resumed":
      node.status = "alive";
      return;
    case "node.labelled":
      if (node.joined !== undefined) node.joined = { ...node.joined, labels: fact.data.labels };
      return;
    case "node.left":
      node.status = "left";
      return;
    case "node.trusted":
      // A node that states one after the other must not fill the memory of those who listen.
      if (node.certificates.size < proofLimits.certificatesMax) node.certificates.add(fact.data.certificate);
      return;
    case "instance.starting":
      startInstance(node, fact.data.spec, fact.data.restarts, fact.at);
      return;
    case "instance.running":
      return changeStatus(node, fact, "running", undefined);
    case "instance.restarting":
      return changeStatus(node, fact, "starting", fact.data.reason);
    case "instance.backing-off": {
      changeStatus(node, fact, "backing-off", undefined);
      const { instanceId, attempt, delayMs, until } = fact.data;
      const instance = node.instances.get(instanceId);
      if (instance !== undefined) instance.backoff = { attempt, delayMs, until };
      return;
    }
    case "instance.gave-up":
      return changeStatus(node, fact, "gave-up", fact.data.reason);
    case "instance.stopped":
      return changeStatus(node, fact, "stopped", fact.data.reason);
    case "instance.yielding": {
      const instance = node.instances.get(fact.data.instanceId);
      if (instance !== undefined) instance.yields = true;
      return;
    }
    case "instance.crashed": {
      const instance = node.instances.get(fact.data.instanceId);
      if (instance !== undefined) instance.lastCrash = fact.data.crash;
      return changeStatus(node, fact, "crashed", fact.data.crash.message);
    }
    case "capability.assigned":
      return changeGrants(node, fact.data.instanceId, (instance) =>
        instance.assignments.set(fact.data.assignment.capabilityId, fact.data.assignment),
      );
    case "capability.revoked":
      return changeGrants(node, fact.data.instanceId, (instance) =>
        instance.assignments.delete(fact.data.capabilityId),
      );
    case "capability.used":
    case "capability.denied": {
      const instance = node.instances.get(fact.data.instanceId);
      if (instance !== undefined) auditFact(instance, fact);
      return;
    }
    case "provider.starting":
      return changeProvider(node, fact, "starting", undefined);
    case "provider.available":
      return changeProvider(node, fact, "available", undefined);
    case "provider.updated":
      return changeProvider(node, fact, "available", undefined);
    case "provider.unwell":
      return changeProvider(node, fact, "unwell", fact.data.reason);
    case "provider.draining":
      return changeProvider(node, fact, "draining", undefined);
    case "provider.failed":
      return changeProvider(node, fact, "failed", fact.data.reason);
    case "provider.gave-up":
      return changeProvider(node, fact, "gave-up", fact.data.reason);
    case "provider.stopped":
      return changeProvider(node, fact, "stopped", fact.data.reason);
    case "module.stored":
      node.modules.set(fact.data.digest, fact.data.sizeBytes);
      return;
    case "module.evicted":
      node.modules.delete(fact.data.digest);
      return;
    case "node.heartbeat":
    case "instance.relocated":
    case "instance.fenced":
    case "module.admitted":
    case "module.refused":
    case "provider.dropped":
    case "command.refused":
    case "bus.refused":
    case "engine.started":
    case "engine.lost":
    case "cell.lost":
      return;
  }
}

type InstanceFact = Extract<Fact, { data: { instanceId: string; restarts: number } }>;

function changeStatus(
  node: NodeView,
  fact: InstanceFact,
  status: InstanceStatus,
  reason: string | undefined,
): void {
  const instance = node.instances.get(fact.data.instanceId);
  if (instance === undefined) return;
  if (status === "stopped" && instance.status !== "stopped") retire(node, fact.data.instanceId);
  instance.status = status;
  instance.since = fact.at;
  instance.restarts = fact.data.restarts;
  instance.reason = reason;
  instance.cause = fact.cause;
  instance.backoff = undefined;
  node.digest.changed.add(instance);
}

function startInstance(node: NodeView, spec: InstanceView["spec"], restarts: number, at: string): void {
  const former = node.instances.get(spec.instanceId);
  if (former !== undefined) {
    forget(node.digest, former);
    if (former.status === "stopped") node.stopped.splice(node.stopped.indexOf(spec.instanceId), 1);
  }
  const instance: InstanceView = {
    nodeId: node.nodeId,
    spec,
    assignments: new Map(spec.capabilities.map((grant) => [grant.capabilityId, grant])),
    status: "starting",
    since: at,
    restarts,
    lastCrash: undefined,
    reason: undefined,
    cause: undefined,
    backoff: undefined,
    yields: false,
    share: [0, 0],
  };
  node.instances.set(spec.instanceId, instance);
  node.digest.changed.add(instance);
}

function retire(node: NodeView, instanceId: string): void {
  node.stopped.push(instanceId);
  if (node.stopped.length <= viewLimits.stoppedInstancesMax) return;
  const oldest = node.stopped.shift();
  const instance = oldest === undefined ? undefined : node.instances.get(oldest);
  if (instance === undefined) return;
  forget(node.digest, instance);
  node.instances.delete(instance.spec.instanceId);
}

function changeGrants(node: NodeView, instanceId: string, apply: (instance: InstanceView) => void): void {
  const instance = node.instances.get(instanceId);
  if (instance === undefined) return;
  apply(instance);
  node.digest.changed.add(instance);
}

type ProviderFact = Extract<Fact, { data: ProviderInfo }>;

function changeProvider(
  node: NodeView,
  fact: ProviderFact,
  status: ProviderView["status"],
  reason: string | undefined,
): void {
  // Fields of a newer minor version stay with it.
  const { reason: _, ...info } = fact.data as ProviderFact["data"] & { reason?: string };
  node.providers.set(info.provider, {
    nodeId: node.nodeId,
    info,
    status,
    since: fact.at,
    reason,
  });
}
