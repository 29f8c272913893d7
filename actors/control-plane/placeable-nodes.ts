import { copiesOn, isCopyOf } from "./copies-on-node.ts";
import type { Desk } from "./desk.ts";
import type { PlaceableNode, Wanted } from "./place.ts";
import { type Need, nearnessTo } from "./provider-nearness.ts";
import { reasonAgainst, statusOfNode } from "./summaries.ts";

/** What placement reads in the template of a start. */
export interface PlacedTemplate {
  readonly name?: string | undefined;
  readonly moduleHash: string;
  readonly capabilities?: readonly Need[] | undefined;
  readonly requires?: Readonly<Record<string, string>> | undefined;
  readonly spread?: string | undefined;
  readonly pinnedTo?: string | undefined;
}

/**
 * The nodes as placement sees them: how many living copies of `template` each has, those in `without` apart, and how near it is to
 * the providers that are needed.
 */
export function placeableNodes(
  desk: Desk,
  template?: PlacedTemplate,
  without?: ReadonlyMap<string, unknown>,
): PlaceableNode[] {
  const nearness = nearnessTo(desk, template?.capabilities ?? []);
  return [...desk.view.nodes.values()].map((node) => {
    const { nodeId, joined, instances } = node;
    const copies = copiesOn(node);
    let sameName = template === undefined ? 0 : copies.of(template);
    for (const id of without?.keys() ?? []) {
      const leaving = instances.get(id);
      if (template !== undefined && leaving !== undefined && isCopyOf(leaving, template)) sameName -= 1;
    }
    const refused = reasonAgainst(node);
    const near = nearness(nodeId);
    return {
      nodeId,
      status: statusOfNode(desk, node),
      labels: joined?.labels ?? {},
      guestKinds: joined?.guestKinds ?? [],
      instances: copies.living,
      instancesMax: joined?.instancesMax ?? 0,
      sameName,
      ...(near.length === 0 ? {} : { nearness: near }),
      ...(refused === undefined ? {} : { refused }),
    };
  });
}

/** What a start, or whoever brings back or moves its copies, wants of a node. */
export function wantedOf(desk: Desk, template: PlacedTemplate): Wanted {
  const { requires = {}, spread, pinnedTo, moduleHash } = template;
  return { requires, spread, pinnedTo, guestKind: desk.guestKinds.of(moduleHash) };
}
