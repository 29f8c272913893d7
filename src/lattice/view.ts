import type { Fact, FactData, ProviderInfo } from "../protocol/facts.ts";
import type { Crash, InstanceSpec, InstanceStatus, ProvenAssignment } from "../protocol/instance-spec.ts";
import type { InstanceAudit } from "./audit.ts";
import { createDigest, type Digest } from "./digest.ts";

/** What the facts say of one instance on one node. */
export interface InstanceView {
  readonly nodeId: string;
  /** As it was started; the grants that it has now are in `assignments`. */
  readonly spec: InstanceSpec;
  readonly assignments: Map<string, ProvenAssignment>;
  status: InstanceStatus;
  /** ISO 8601: when it came to that status. */
  since: string;
  restarts: number;
  lastCrash: Crash | undefined;
  /** Why it is in this status, where the fact said so. */
  reason: string | undefined;
  /** The id of the command that brought it to that status, where one did. */
  cause: string | undefined;
  /** While it is backing off: which try is due when. */
  backoff: Backoff | undefined;
  /** Whether a copy elsewhere takes over: until this one ends it is in order, although it is outranked. */
  yields: boolean;
  /** What it has used of its grants and was refused; absent, and so of no weight, for one that did neither. */
  audit?: InstanceAudit;
  /** Its share of the node's digest; owned by digest.ts. */
  share: readonly [number, number];
}

/** The next try of an instance that is backing off. */
export interface Backoff {
  readonly attempt: number;
  readonly delayMs: number;
  /** ISO 8601. */
  readonly until: string;
}

/** What the facts say of one provider on one host. */
export interface ProviderView {
  readonly nodeId: string;
  readonly info: ProviderInfo;
  readonly status: "starting" | "available" | "unwell" | "draining" | "stopped" | "failed" | "gave-up";
  readonly since: string;
  readonly reason: string | undefined;
}

/** One life of one node, as far as its facts were heard. */
export interface NodeView {
  readonly nodeId: string;
  readonly epoch: number;
  /** All facts up to this one are in here. */
  seq: number;
  /** `gap`: something is missing, and the node has to tell its facts again. */
  knowledge: "complete" | "gap";
  joined: FactData<"node.joined"> | undefined;
  status: "alive" | "draining" | "left";
  load: FactData<"node.heartbeat">["load"] | undefined;
  /** By the listener's clock, ms since 1970. */
  lastHeardAt: number;
  readonly instances: Map<string, InstanceView>;
  /** Ids of stopped instances, oldest first; bounded, and no part of the digest. */
  readonly stopped: string[];
  readonly providers: Map<string, ProviderView>;
  /** Digest of a held module → its size in bytes. */
  readonly modules: Map<string, number>;
  /** Of control planes that it takes commands from, by which the proofs of its grants can be checked. */
  readonly certificates: Set<string>;
  readonly digest: Digest;
  /** Of the instance that was started last: the next one is often of the same command, and shares its parts. */
  latestSpec: InstanceSpec | undefined;
  /** Facts that came after a gap, in the order of their arrival. */
  early: Fact[];
}

/** Everything that the facts of a lattice add up to. */
export interface LatticeView {
  readonly lattice: string;
  readonly nodes: Map<string, NodeView>;
  /** Replays of which parts are missing, by node. */
  readonly replays: Map<string, PartialReplay>;
  /**
   * Instances that lived when a life of their node ended without a word, by id: the next life of that node knows
   * nothing of them. One is an orphan until a later incarnation of it is heard of.
   */
  readonly orphans: Map<string, InstanceView>;
  /**
   * Copies that a command stopped on lives of nodes that are over, by id, as long as an earlier copy is known elsewhere:
   * that one, on a node out of reach, must not be taken for one that nobody stopped.
   */
  readonly ended: Map<string, InstanceView>;
  /**
   * The latest life that is over of each node that has begun another one, by node: how far it was heard, and with the
   * copies alone that went into `orphans` and `ended`.
   */
  readonly former: Map<string, NodeView>;
  /**
   * Whether a control plane has put that copy where it is said to be; unset on a lattice without roots. Asked only where
   * copies of one instance compete, for an answer costs a signature's check.
   */
  isPlaced?: (copy: InstanceView) => boolean;
}

/** A replay that is still arriving. */
export interface PartialReplay {
  readonly replayId: string;
  readonly parts: Map<number, readonly Fact[]>;
}

/** A node about which the view knows that it does not know everything; ask it to tell its facts again. */
export interface Doubt {
  readonly nodeId: string;
  readonly reason: "unknown-node" | "gap" | "digest";
}

/** A view that has heard nothing yet. */
export function createView(lattice: string): LatticeView {
  return {
    lattice,
    nodes: new Map(),
    replays: new Map(),
    orphans: new Map(),
    ended: new Map(),
    former: new Map(),
  };
}

/** A node of which nothing is known but its name and life. */
export function createNodeView(nodeId: string, epoch: number, heardAt: number): NodeView {
  return {
    nodeId,
    epoch,
    seq: 0,
    knowledge: "complete",
    joined: undefined,
    status: "alive",
    load: undefined,
    lastHeardAt: heardAt,
    instances: new Map(),
    stopped: [],
    providers: new Map(),
    modules: new Map(),
    certificates: new Set(),
    digest: createDigest(),
    latestSpec: undefined,
    early: [],
  };
}

/** Takes a node out of the view that was not heard of for so long that it will not come back. */
export function forgetNode({ nodes, replays, former }: LatticeView, nodeId: string): void {
  for (const known of [nodes, replays, former]) known.delete(nodeId);
}

/** The nodes of which something is missing. */
export function gapsOf(view: LatticeView): string[] {
  const gaps: string[] = [];
  for (const node of view.nodes.values()) if (node.knowledge === "gap") gaps.push(node.nodeId);
  return gaps;
}

/** The copy that counts of an instance, see `outranks`; else what a life of its node left behind. */
export function findInstance(view: LatticeView, instanceId: string): InstanceView | undefined {
  let best: InstanceView | undefined;
  for (const node of view.nodes.values()) {
    const found = node.instances.get(instanceId);
    if (found !== undefined && (best === undefined || takesPrecedence(view, found, best))) best = found;
  }
  const ended = view.ended.get(instanceId);
  if (ended !== undefined && (best === undefined || takesPrecedence(view, ended, best))) return ended;
  return best ?? view.orphans.get(instanceId);
}

/** Every copy of an instance that is known: on each node, and what former lives of nodes left behind. */
export function copiesOf(view: LatticeView, instanceId: string): InstanceView[] {
  const present = [...view.nodes.values()].map(({ instances }) => instances.get(instanceId));
  return [...present, view.orphans.get(instanceId), view.ended.get(instanceId)].filter(
    (copy) => copy !== undefined,
  );
}

/**
 * The incarnation of an instance's next copy: later than any that is known. A node that has had one takes it for a
 * repeated command, and does not start what has ended there.
 */
export function nextIncarnation(view: LatticeView, instanceId: string): number {
  const copies = copiesOf(view, instanceId);
  const counting = copies.length > 1 ? copies.filter((copy) => isPlaced(view, copy)) : copies;
  return Math.max(0, ...counting.map(({ spec }) => spec.incarnation)) + 1;
}

/** Every instance of every node, stopped ones included, and those whose node forgot them. */
export function* allInstances(view: LatticeView): Generator<InstanceView> {
  for (const node of view.nodes.values()) yield* node.instances.values();
  yield* view.orphans.values();
  yield* view.ended.values();
}

/** Whether nobody runs it any more: its node began a new life, which knows nothing of it. */
export function isOrphan(view: LatticeView, instance: InstanceView): boolean {
  return view.orphans.get(instance.spec.instanceId) === instance;
}

/** Whether a life of its node that is over left it in the view. */
export function isLeftBehind(view: LatticeView, instance: InstanceView): boolean {
  return isOrphan(view, instance) || view.ended.get(instance.spec.instanceId) === instance;
}

/**
 * The copy elsewhere that takes the place of the one on that node, if there is one: a later incarnation that has
 * run, while the one on that node does not yield to it in order.
 */
export function successorOf(view: LatticeView, nodeId: string, instanceId: string): InstanceView | undefined {
  const own = view.nodes.get(nodeId)?.instances.get(instanceId);
  if (own?.yields === true) return undefined;
  for (const node of view.nodes.values()) {
    const copy = node.nodeId === nodeId ? undefined : node.instances.get(instanceId);
    if (copy === undefined || copy.status === "stopped" || copy.status === "starting") continue;
    if (isStillborn(copy)) continue;
    if ((own === undefined || isLaterCopy(copy, own)) && isPlaced(view, copy)) return copy;
  }
  return undefined;
}

/** Whether of two copies of one instance the first counts: one that was put where it is, then as `outranks` says. */
export function takesPrecedence(view: LatticeView, one: InstanceView, other: InstanceView): boolean {
  const is = isPlaced(view, one);
  return is === isPlaced(view, other) ? outranks(one, other) : is;
}

/** Whether a control plane has put that copy there; every one is taken to be on a lattice without roots. */
export function isPlaced(view: LatticeView, copy: InstanceView): boolean {
  return view.isPlaced?.(copy) ?? true;
}

/**
 * Whether of two copies of one instance the first counts: the one that a command has stopped, for then what others do on nodes out of
 * reach is over as well; else the later one. What ended otherwise, or could never be started, yields to whatever lives.
 */
function outranks(one: InstanceView, other: InstanceView): boolean {
  if (isStartedAfter(one, other)) return true;
  if (isStartedAfter(other, one)) return false;
  if (isStillborn(one) !== isStillborn(other) && one.status !== "stopped" && other.status !== "stopped")
    return isStillborn(other);
  if (counts(one) !== counts(other)) return counts(one);
  if (endsWith(one, other)) return false;
  if (endsWith(other, one)) return true;
  if (isLaterCopy(one, other)) return true;
  if (isLaterCopy(other, one)) return false;
  // Of two commands at the same moment: the other instance did not know of the one that was stopped.
  const lives = one.status !== "stopped";
  if (lives !== (other.status !== "stopped")) return lives;
  return one.nodeId < other.nodeId;
}

/**
 * Whether the first copy was made after the other: by a later start command, which was given since the instance before it was stopped, or
 * as a later incarnation. A split can keep from one that it was stopped, and have it moved on and on.
 */
export function isLaterCopy({ spec: one }: InstanceView, { spec: other }: InstanceView): boolean {
  if (one.commandId !== other.commandId && one.createdAt !== other.createdAt)
    return one.createdAt > other.createdAt;
  return one.incarnation > other.incarnation;
}

/** Whether the first copy, wherever it lives, is over with the second, which a command has stopped: both are of one start command. */
export function endsWith(one: InstanceView, stopped: InstanceView): boolean {
  if (one.status === "stopped" || stopped.status !== "stopped" || stopped.cause === undefined) return false;
  return one.spec.commandId === stopped.spec.commandId;
}

/**
 * Whether the first is of a later start command than the one that the second was stopped after: another instance under the same id, be
 * its incarnation lower, for whoever started it knew nothing of the one before.
 */
export function isStartedAfter(one: InstanceView, ended: InstanceView): boolean {
  if (one.status === "stopped" || ended.status !== "stopped") return false;
  return one.spec.commandId !== ended.spec.commandId && one.spec.createdAt > ended.since;
}

/** Whether a copy can stand for an earlier one: not when it could never be started, nor when it ended and no command had it end. */
export function supersedes(copy: InstanceView): boolean {
  return counts(copy) && !isStillborn(copy);
}

function counts({ status, cause }: InstanceView): boolean {
  return status !== "stopped" || cause !== undefined;
}

/** A copy that could not be started and is tried no more: nobody's work ends for it. */
function isStillborn({ status, lastCrash }: InstanceView): boolean {
  return (status === "crashed" || status === "gave-up") && lastCrash?.reason === "start-failure";
}
