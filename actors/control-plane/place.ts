import { Failure } from "../../src/protocol/errors.ts";

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
  /** Why it may not be given work, whatever it is like: it speaks another version. */
  readonly refused?: string;
}

/** What is to be placed. */
export interface Wanted {
  /** Labels that a node must have, with these values. */
  readonly requires: Readonly<Record<string, string>>;
  /** Nodes that refused already, with their reasons. */
  readonly refused?: ReadonlyMap<string, string>;
}

/** A node that can take work, and why it stands where it does. */
export interface Candidate {
  readonly nodeId: string;
  readonly sameName: number;
  readonly instances: number;
  readonly free: number;
  readonly reason: string;
}

/** The nodes that can take work, the best first, and of each other one why it cannot. */
export interface Placement {
  readonly candidates: readonly Candidate[];
  readonly unfit: readonly { readonly nodeId: string; readonly reason: string; readonly full: boolean }[];
}

/**
 * Orders nodes by what speaks for them: few instances of the same name (spread), then a small share of their capacity
 * in use (headroom), then their id, so that two control planes with the same view choose alike.
 */
export function place(nodes: Iterable<PlaceableNode>, wanted: Wanted): Placement {
  const candidates: Candidate[] = [];
  const unfit: { nodeId: string; reason: string; full: boolean }[] = [];
  for (const node of nodes) {
    const { nodeId, instances, sameName } = node;
    const free = node.instancesMax - instances;
    const obstacle = wanted.refused?.get(nodeId) ?? obstacleTo(node, wanted);
    if (obstacle !== undefined)
      unfit.push({ nodeId, reason: obstacle, full: wanted.refused?.has(nodeId) ?? false });
    else if (free <= 0)
      unfit.push({ nodeId, reason: `is full: ${instances} of ${node.instancesMax} instances`, full: true });
    else
      candidates.push({
        nodeId,
        sameName,
        instances,
        free,
        reason: `${sameName} of the same name, ${free} places free`,
      });
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
  let open = [...candidates];
  for (const id of ids) {
    const best = open.reduce<Candidate | undefined>(
      (one, other) => (one === undefined || before(other, one) < 0 ? other : one),
      undefined,
    );
    if (best === undefined) {
      left.push(id);
      continue;
    }
    const share = shares.get(best.nodeId);
    if (share === undefined) shares.set(best.nodeId, [id]);
    else share.push(id);
    const { sameName, instances, free } = best;
    const taken = { ...best, sameName: sameName + 1, instances: instances + 1, free: free - 1 };
    open = open.flatMap((one) => (one !== best ? [one] : taken.free > 0 ? [taken] : []));
  }
  return { shares, left };
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

function obstacleTo(node: PlaceableNode, { requires }: Wanted): string | undefined {
  if (node.refused !== undefined) return `is not given work: ${node.refused}`;
  if (node.status === "lost") return "is lost: nothing was heard of it for too long";
  if (node.status === "suspect") return "is silent for longer than it should be";
  if (node.status === "back") return "was lost, and is back only just now";
  if (node.status !== "alive") return node.status === "left" ? "has left" : "is draining";
  if (node.guestKinds.length === 0) return "runs no guests";
  for (const [label, value] of Object.entries(requires)) {
    const actual = Object.hasOwn(node.labels, label) ? node.labels[label] : undefined;
    if (actual !== value)
      return `has ${actual === undefined ? `no label ${label}` : `${label}=${actual}`}, required is ${label}=${value}`;
  }
  return undefined;
}

function before(one: Candidate, other: Candidate): number {
  if (one.sameName !== other.sameName) return one.sameName - other.sameName;
  const load = one.instances / (one.instances + one.free) - other.instances / (other.instances + other.free);
  if (load !== 0) return load;
  return one.nodeId < other.nodeId ? -1 : 1;
}
