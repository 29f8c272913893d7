import { type InstanceView, isPlaced, nextIncarnation } from "../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { asFailure, type ErrorBody, errorBody, Failure } from "../../src/protocol/errors.ts";
import type { InstanceSummary } from "../../src/protocol/instance-spec.ts";
import { askNode } from "./ask-node.ts";
import { recordsOf } from "./audit.ts";
import type { Desk } from "./desk.ts";
import { distribute, noPlace, place } from "./place.ts";
import { placeableNodes, wantedOf } from "./placeable-nodes.ts";
import type { CountingGrants } from "./signed-grants.ts";
import { grantsOf, startOnNode } from "./signed-starts.ts";
import { holdersFor } from "./store-module.ts";

/** What became of instances that were to move. */
export interface HandedOver {
  /** As they run now. */
  readonly moved: readonly InstanceSummary[];
  readonly left: readonly { readonly instanceId: string; readonly error: ErrorBody }[];
}

/**
 * Moves running instances off their node without a call that fails: the node says that they yield, copies with the next
 * incarnation start elsewhere and take calls, and then the old ones end, the calls in progress answered. `to` is the
 * node that is meant; without it each goes where placement puts it.
 */
export async function handOver(
  desk: Desk,
  instances: readonly InstanceView[],
  options: { to?: string | undefined; untilMs: number },
): Promise<HandedOver> {
  const moved: InstanceSummary[] = [];
  const left: { instanceId: string; error: ErrorBody }[] = [];
  const fail = (those: readonly InstanceView[], error: unknown) => {
    const body = errorBody(error, new Date(desk.clock.now()).toISOString());
    left.push(...those.map(({ spec }) => ({ instanceId: spec.instanceId, error: body })));
  };
  const moves = [...movesOf(desk, instances, options.to, fail)];
  await Promise.all(
    moves.map(async (move) => {
      try {
        const remainingMs = options.untilMs - desk.clock.now();
        if (remainingMs <= 0) throw new Failure("TIMEOUT", "the time for moving is over");
        const done = await perform(desk, move, Math.min(remainingMs, controlPlaneLimits.nodeStartMs));
        moved.push(...done.moved);
        left.push(...done.left);
      } catch (error) {
        fail(move.instances, error);
      }
    }),
  );
  return { moved, left };
}

/** Instances that go the same way with the same template. */
interface Move {
  readonly from: string;
  readonly to: string;
  readonly incarnation: number;
  readonly template: Omit<InstanceView["spec"], "instanceId" | "incarnation">;
  readonly instances: readonly InstanceView[];
  /** Of the grants that they keep. */
  readonly grantIds: ReadonlyMap<string, CountingGrants["grantIds"]>;
}

function* movesOf(
  desk: Desk,
  instances: readonly InstanceView[],
  to: string | undefined,
  fail: (those: readonly InstanceView[], error: unknown) => void,
): Generator<Move> {
  const grants = new Map(instances.map((instance) => [instance, grantsOf(desk, instance)]));
  const invented = instances.filter((instance) => !isPlaced(desk.view, instance));
  if (invented.length > 0) fail(invented, nobodyPutThere(invented));
  const movable = instances.filter((instance) => !invented.includes(instance));
  const alike = Map.groupBy(movable, (instance) => {
    const { instanceId: _, capabilities: __, placement: ___, ...rest } = instance.spec;
    const next = nextIncarnation(desk.view, instance.spec.instanceId);
    return JSON.stringify([instance.nodeId, rest, next, grants.get(instance)?.assignments]);
  });
  for (const those of alike.values()) {
    const [first] = those;
    if (first === undefined) continue;
    const { instanceId, incarnation: _, placement: __, ...spec } = first.spec;
    const template = { ...spec, capabilities: [...(grants.get(first)?.assignments ?? [])] };
    const grantIds = new Map(
      those.map((one) => [one.spec.instanceId, grants.get(one)?.grantIds ?? new Map<string, string>()]),
    );
    const refused = new Map([[first.nodeId, "is where it runs now"]]);
    const byId = new Map(those.map((one) => [one.spec.instanceId, one]));
    // What moves away counts nowhere any more: else its zone would seem fuller than it is about to be.
    const nodes = placeableNodes(desk, template, byId);
    const placement = place(nodes, { ...wantedOf(desk, template), refused, only: to });
    const { shares, left } = distribute(placement.candidates, [...byId.keys()]);
    if (left.length > 0)
      fail(
        left.flatMap((id) => byId.get(id) ?? []),
        noPlace(placement, `${left.length} instances of ${spec.name ?? first.spec.instanceId}`),
      );
    for (const [target, ids] of shares) {
      const group = ids.flatMap((id) => byId.get(id) ?? []);
      const next = nextIncarnation(desk.view, instanceId);
      yield { from: first.nodeId, to: target, incarnation: next, template, instances: group, grantIds };
    }
  }
}

async function perform(desk: Desk, move: Move, timeoutMs: number): Promise<HandedOver> {
  const { from, to, incarnation, template, instances, grantIds } = move;
  const instanceIds = instances.map(({ spec }) => spec.instanceId);
  await askNode(desk, from, "node.instance.yield", { instanceIds }, controlPlaneLimits.nodeGrantMs);
  const holders = holdersFor(desk, template.moduleHash, to);
  const kept = { grantIds, ...recordsOf(instances) };
  const copies = { template, instanceIds, incarnation, holders, from, ...kept };
  const { instances: moved, failed } = await startOnNode(desk, to, copies, timeoutMs);
  const by = { nodeId: to, incarnation };
  const former = instances[0]?.spec.incarnation ?? incarnation - 1;
  const outranked = moved.map(({ instanceId }) => ({ instanceId, incarnation: former, by }));
  if (outranked.length > 0) {
    try {
      const stopMs = controlPlaneLimits.nodeStopMs;
      await askNode(desk, from, "node.instance.fence", { instances: outranked }, stopMs);
    } catch (error) {
      // They are outranked all the same, and are told so again when their node is heard.
      desk.log.warn({ node: from, reason: asFailure(error).message }, "moved instances may still be there");
    }
  }
  return { moved, left: failed };
}

function nobodyPutThere([first]: readonly InstanceView[]): Failure {
  const { instanceId } = first?.spec ?? { instanceId: "?" };
  return new Failure(
    "PERMISSION_DENIED",
    `node ${first?.nodeId} states an instance ${instanceId} that no control plane has put there; it is not moved`,
    {
      fix: `See whose that node is; \`wasmatrix auth revoke node ${first?.nodeId}\` lets it in no more.`,
      details: { nodeId: first?.nodeId, instanceId },
    },
  );
}
