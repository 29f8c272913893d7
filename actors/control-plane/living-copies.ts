import { type InstanceView, takesPrecedence } from "../../src/lattice/view.ts";
import type { Desk } from "./desk.ts";
import { isOutOfReach } from "./summaries.ts";

/** The living copies of an instance on nodes in reach, the one that counts first. */
export function livingCopies(desk: Desk, instanceId: string): InstanceView[] {
  const copies: InstanceView[] = [];
  for (const node of desk.view.nodes.values()) {
    const copy = node.instances.get(instanceId);
    if (copy !== undefined && copy.status !== "stopped" && !isOutOfReach(desk, node.nodeId))
      copies.push(copy);
  }
  return copies.length < 2
    ? copies
    : copies.toSorted((one, other) => (takesPrecedence(desk.view, one, other) ? -1 : 1));
}
