import type { Desk } from "./desk.ts";
import type { PlaceableNode } from "./place.ts";
import { summarizeNode } from "./summaries.ts";

/** The nodes as placement sees them, with how many living instances of `name` each has. */
export function placeableNodes(desk: Desk, name?: string): PlaceableNode[] {
  return [...desk.view.nodes.values()].map((node) => {
    const { nodeId, status, labels, guestKinds, instances, instancesMax, reason } = summarizeNode(desk, node);
    let sameName = 0;
    if (name !== undefined)
      for (const instance of node.instances.values())
        if (instance.spec.name === name && instance.status !== "stopped") sameName += 1;
    const refused = reason === undefined ? {} : { refused: reason };
    return { nodeId, status, labels, guestKinds, instances, instancesMax, sameName, ...refused };
  });
}
