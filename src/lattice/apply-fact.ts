import { viewLimits } from "../limits.ts";
import type { Fact, FactReplay } from "../protocol/facts.ts";
import { changeNode } from "./change-node.ts";
import { digestText } from "./digest.ts";
import { adopt, endLife } from "./former-lives.ts";
import { createNodeView, type Doubt, type LatticeView, type NodeView } from "./view.ts";

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
  for (const fact of life.facts) changeNode(node, fact);
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
  for (const fact of facts) changeNode(node, fact);
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
  changeNode(node, fact);
  adopt(view, node, fact);
  node.seq = fact.seq;
}
