import { placementLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Nearness } from "./provider-nearness.ts";

/** What placement knows of one node. */
export interface PlaceableNode {
  readonly nodeId: string;
  readonly status: "alive" | "draining" | "suspect" | "lost" | "back" | "left";
  readonly labels: Readonly<Record<string, string>>;
  /** Empty for a process that only hosts providers. */
  readonly guestKinds: readonly string[];
  readonly instances: number;
  readonly instancesMax: number;
  /** Its living instances of the name that is to be placed. */
  readonly sameName: number;
  /** Of the providers that are needed; none where it makes no difference. */
  readonly nearness?: readonly Nearness[];
  /** Why it may not be given work, whatever it is like: it speaks another version. */
  readonly refused?: string;
}

/** What is to be placed. */
export interface Wanted {
  /** Labels that a node must have, with these values. */
  readonly requires: Readonly<Record<string, string>>;
  /** A label over whose values copies of the same name are kept even. */
  readonly spread?: string | undefined;
  /** The only node that may ever run it. */
  readonly pinnedTo?: string | undefined;
  /** The only node that is asked this time. */
  readonly only?: string | undefined;
  /** What the module is, where that is known. */
  readonly guestKind?: string | undefined;
  /** Nodes that refused already, with their reasons. */
  readonly refused?: ReadonlyMap<string, string>;
}

/** A node that can take work; what it counts changes as copies are handed out, see `take`. */
export interface Candidate {
  readonly nodeId: string;
  sameName: number;
  instances: number;
  free: number;
  /** Steps away from the providers that are needed, 0 to 2, on average. */
  readonly stepsAway: number;
  /** The value of the label that copies are spread over; undefined where none is, or the node has no such label. */
  readonly spreadValue: string | undefined;
  /** Instances of the same name on all nodes with that value. */
  sameValue: number;
  /** A wish to spread over a label is not met by nodes that lack it: they come last. */
  readonly lacksLabel: boolean;
  /** What speaks for and against it, in words, the weightiest first. */
  readonly reasons: readonly string[];
}

/** The nodes that can take work, the best first, and of each other one why it cannot. */
export interface Placement {
  readonly candidates: readonly Candidate[];
  readonly unfit: readonly { readonly nodeId: string; readonly reason: string; readonly full: boolean }[];
}

/**
 * Orders the nodes that fit. First, where a label to spread over is given: few instances of the same name on all nodes with
 * the same value of it. Then few of the same name on the node, where a step away from the providers that are needed and a
 * quarter of its capacity in use count like copies (`placementLimits`). Then nearness, headroom, and its id: two control
 * planes with the same view choose alike.
 */
export function place(nodes: Iterable<PlaceableNode>, wanted: Wanted): Placement {
  const all = [...nodes];
  const sameValues = countByValue(all, wanted.spread);
  const candidates: Candidate[] = [];
  const unfit: { nodeId: string; reason: string; full: boolean }[] = [];
  for (const node of all) {
    const { nodeId, instances, instancesMax } = node;
    if (wanted.only !== undefined && nodeId !== wanted.only) continue;
    const obstacle = wanted.refused?.get(nodeId) ?? obstacleTo(node, wanted);
    if (obstacle !== undefined)
      unfit.push({ nodeId, reason: obstacle, full: wanted.refused?.has(nodeId) ?? false });
    else if (instances >= instancesMax)
      unfit.push({ nodeId, reason: `is full: ${instances} of ${instancesMax} instances`, full: true });
    else candidates.push(candidateOf(node, wanted.spread, sameValues));
  }
  return { candidates: candidates.toSorted(before), unfit };
}

/** Hands each id to the best candidate at that moment; ids beyond the capacity of all are in `left`. */
export function distribute(
  candidates: readonly Candidate[],
  ids: readonly string[],
): { shares: Map<string, string[]>; left: string[] } {
  const shares = new Map<string, string[]>();
  const left: string[] = [];
  const open = candidates.map((candidate) => ({ ...candidate }));
  for (const id of ids) {
    let best: Candidate | undefined;
    for (const one of open) if (one.free > 0 && (best === undefined || before(one, best) < 0)) best = one;
    if (best === undefined) {
      left.push(id);
      continue;
    }
    const share = shares.get(best.nodeId);
    if (share === undefined) shares.set(best.nodeId, [id]);
    else share.push(id);
    take(open, best);
  }
  return { shares, left };
}

/** Counts one more copy on that candidate, and on its value of the label that copies are spread over. */
export function take(candidates: Iterable<Candidate>, chosen: Candidate): void {
  chosen.sameName += 1;
  chosen.instances += 1;
  chosen.free -= 1;
  if (chosen.spreadValue === undefined) return;
  for (const one of candidates) if (one.spreadValue === chosen.spreadValue) one.sameValue += 1;
}

/** Those with room that come first by the label that copies are spread over; all with room where there is none. */
export function foremostBySpread(candidates: Iterable<Candidate>): Candidate[] {
  let foremost: Candidate[] = [];
  for (const one of candidates) {
    if (one.free <= 0) continue;
    const [first] = foremost;
    const order = first === undefined ? 0 : bySpread(one, first);
    if (order < 0) foremost = [one];
    else if (order === 0) foremost.push(one);
  }
  return foremost;
}

/** Why nothing could be placed, node by node, and what to do. */
export function noPlace({ unfit }: Pick<Placement, "unfit">, what: string): Failure {
  const details = { nodes: unfit.map(({ nodeId, reason }) => ({ nodeId, reason })) };
  if (unfit.length === 0)
    return new Failure("NODE_UNAVAILABLE", `no node is known that could take ${what}`, {
      fix: "Start one with `wasmatrix node`.",
      details,
    });
  const reasons = unfit.slice(0, 5).map(({ nodeId, reason }) => `${nodeId} ${reason}`);
  const more = unfit.length > 5 ? `; and ${unfit.length - 5} more` : "";
  const full = unfit.some((node) => node.full);
  return new Failure("RESOURCE_EXHAUSTED", `no node can take ${what}: ${reasons.join("; ")}${more}`, {
    fix: full
      ? "Stop instances that are not needed, or start another node with `wasmatrix node`."
      : "`wasmatrix nodes` shows the nodes; `wasmatrix node --label key=value` starts one that fits.",
    details,
  });
}

function obstacleTo(node: PlaceableNode, { requires, pinnedTo, guestKind }: Wanted): string | undefined {
  if (pinnedTo !== undefined && node.nodeId !== pinnedTo) return `is not ${pinnedTo}, the only one that may`;
  if (node.refused !== undefined) return `is not given work: ${node.refused}`;
  if (node.status === "lost") return "is lost: nothing was heard of it for too long";
  if (node.status === "suspect") return "is silent for longer than it should be";
  if (node.status === "back") return "was lost, and is back only just now";
  if (node.status !== "alive") return node.status === "left" ? "has left" : "is draining";
  if (node.guestKinds.length === 0) return "runs no guests";
  if (guestKind !== undefined && !node.guestKinds.includes(guestKind))
    return `runs no ${guestKind} guests, only ${node.guestKinds.join(", ")}`;
  for (const [label, value] of Object.entries(requires)) {
    const actual = labelOf(node, label);
    if (actual !== value)
      return `has ${actual === undefined ? `no label ${label}` : `${label}=${actual}`}, required is ${label}=${value}`;
  }
  return undefined;
}

function candidateOf(
  node: PlaceableNode,
  spread: string | undefined,
  sameValues: ReadonlyMap<string, number>,
): Candidate {
  const { nodeId, sameName, instances, instancesMax, nearness = [] } = node;
  const free = instancesMax - instances;
  const spreadValue = spread === undefined ? undefined : labelOf(node, spread);
  const sameValue = spreadValue === undefined ? 0 : (sameValues.get(spreadValue) ?? 0);
  const steps = nearness.reduce((sum, { where }) => sum + stepsTo[where], 0);
  return {
    nodeId,
    sameName,
    instances,
    free,
    stepsAway: nearness.length === 0 ? 0 : steps / nearness.length,
    spreadValue,
    sameValue,
    lacksLabel: spread !== undefined && spreadValue === undefined,
    reasons: [
      ...(spread === undefined
        ? []
        : [
            spreadValue === undefined
              ? `no label ${spread}`
              : `${sameValue} of the same name with ${spread}=${spreadValue}`,
          ]),
      `${sameName} of the same name`,
      ...nearness.map(({ provider, where }) => nearnessSays[where](provider)),
      `${free} of ${instancesMax} places free`,
    ],
  };
}

const stepsTo = { here: 0, zone: 1, far: 2 } as const;

const nearnessSays = {
  here: (provider: string) => `hosts ${provider}`,
  zone: (provider: string) => `${provider} is in its zone`,
  far: (provider: string) => `${provider} is elsewhere`,
};

/** Of nodes that may still run what they ran: the copies of a lost one are to be replaced. */
function countByValue(nodes: readonly PlaceableNode[], spread: string | undefined): Map<string, number> {
  const counts = new Map<string, number>();
  if (spread === undefined) return counts;
  for (const node of nodes) {
    const value = labelOf(node, spread);
    if (value === undefined || node.status === "lost" || node.status === "left") continue;
    counts.set(value, (counts.get(value) ?? 0) + node.sameName);
  }
  return counts;
}

function labelOf({ labels }: PlaceableNode, label: string): string | undefined {
  return Object.hasOwn(labels, label) ? labels[label] : undefined;
}

function before(one: Candidate, other: Candidate): number {
  const spread = bySpread(one, other) || copiesOf(one) - copiesOf(other) || one.stepsAway - other.stepsAway;
  return spread || loadOf(one) - loadOf(other) || (one.nodeId < other.nodeId ? -1 : 1);
}

function bySpread(one: Candidate, other: Candidate): number {
  return Number(one.lacksLabel) - Number(other.lacksLabel) || one.sameValue - other.sameValue;
}

/** What speaks against it, in copies of the same name. */
function copiesOf(one: Candidate): number {
  const { copiesPerStepAway, loadSteps } = placementLimits;
  return one.sameName + one.stepsAway * copiesPerStepAway + Math.floor(loadOf(one) * loadSteps);
}

/** The share of its capacity that is in use, 0 to 1. */
function loadOf({ instances, free }: Candidate): number {
  return instances / (instances + free);
}
