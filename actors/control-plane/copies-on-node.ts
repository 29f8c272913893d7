import type { InstanceView, NodeView } from "../../src/lattice/view.ts";

/** What belongs together when copies are counted: those of one name; without a name, of one module. */
export interface Alike {
  readonly name?: string | undefined;
  readonly moduleHash: string;
}

/** The living instances of one node. */
export interface CopiesOnNode {
  readonly living: number;
  of(alike: Alike): number;
}

interface Counted extends CopiesOnNode {
  readonly seq: number;
}

const counted = new WeakMap<NodeView, Counted>();

/**
 * Counts the living instances of a node, once for each state of it: placement asks for all nodes at each start. Whatever
 * changes an instance in the view must come with a fact, and so with another `seq`, or this count is stale.
 */
export function copiesOn(node: NodeView): CopiesOnNode {
  const before = counted.get(node);
  if (before?.seq === node.seq) return before;
  const named = new Map<string, number>();
  const unnamed = new Map<string, number>();
  let living = 0;
  for (const { spec, status } of node.instances.values()) {
    if (status === "stopped") continue;
    living += 1;
    const [counts, key] = spec.name === undefined ? [unnamed, spec.moduleHash] : [named, spec.name];
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const now: Counted = {
    seq: node.seq,
    living,
    of: ({ name, moduleHash }) => (name === undefined ? unnamed.get(moduleHash) : named.get(name)) ?? 0,
  };
  counted.set(node, now);
  return now;
}

/** Whether it is one of those that `copiesOn` counts. */
export function isCopyOf({ spec, status }: InstanceView, { name, moduleHash }: Alike): boolean {
  if (status === "stopped" || spec.name !== name) return false;
  return name !== undefined || spec.moduleHash === moduleHash;
}
