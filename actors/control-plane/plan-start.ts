import { randomId } from "../../src/chance.ts";
import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import type { Desk } from "./desk.ts";
import { distribute } from "./place.ts";
import { warningsOf } from "./provider-warnings.ts";
import { moduleOf } from "./resolve-module.ts";
import { assertFree, assertPlaceable, joined, pinWarning } from "./start-checks.ts";
import { placementOf } from "./start-instances.ts";
import { idsOf, templateOf } from "./start-template.ts";
import { holdersOf } from "./store-module.ts";

/**
 * Where the copies of a start command would go now, and why. Nothing is started or stored; what is wrong with the command
 * itself is refused as the start would be, but a module that has yet to be brought is only warned of. Nodes may still
 * refuse when they are asked.
 */
export async function planStart(
  desk: Desk,
  request: RequestOf<"ctl.instance.start">,
): Promise<AnswerOf<"ctl.instance.start">> {
  const commandId = randomId(20);
  const ids = idsOf(request, commandId);
  assertPlaceable(desk, request);
  const { bytes: _, ...module } = await moduleOf(desk, request, undefined);
  assertFree(desk, ids, request.name);
  const { candidates, unfit } = placementOf(desk, templateOf(desk, request, module, commandId));
  const { shares, left } = distribute(candidates, ids);
  const isMissing = "digest" in request.module && holdersOf(desk, module.moduleHash).length === 0;
  const warning = joined([
    warningsOf(desk, request.capabilities).warning,
    pinWarning(request),
    isMissing
      ? `no node in reach holds module ${module.moduleHash} yet: it has to be stored first`
      : undefined,
  ]);
  return {
    instances: [],
    placement: candidates.map(({ nodeId, reasons }, index) => ({
      nodeId,
      rank: index + 1,
      reasons: [...reasons],
      share: shares.get(nodeId)?.length ?? 0,
    })),
    unfit: unfit
      .map(({ nodeId, reason }) => ({ nodeId, reason }))
      .toSorted((one, other) => (one.nodeId < other.nodeId ? -1 : 1)),
    ...(left.length === 0 ? {} : { withoutPlace: left.length }),
    ...warning,
  };
}
