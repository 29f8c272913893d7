import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { controlPlaneLimits, messageLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { ListedAssignment } from "../../src/protocol/commands.ts";
import { askNode, askNodesOf, refusedInPart } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { warningsOf } from "./provider-warnings.ts";
import { holderOf, newGrantId, withoutProof } from "./signed-grants.ts";
import { instancesOf } from "./summaries.ts";
import { isMeant, livingTargets } from "./targets.ts";

/** Grants; answered once every cell concerned enforces it. Its `warning` says when the provider is not there. */
export async function assignCapability(
  desk: Desk,
  request: RequestOf<"ctl.capability.assign">,
): Promise<AnswerOf<"ctl.capability.assign">> {
  const { assignment, commandId } = request;
  const targets = livingTargets(desk, request);
  const warning = warningsOf(desk, [assignment]);
  const grants = grantOf(desk, targets, request);
  const { done, failed } = await askNodesOf(desk, targets, async (nodeId, instanceIds) => {
    const proofs = grants?.proofsOf(instanceIds);
    const question = {
      instanceIds,
      assignment,
      ...(proofs === undefined ? {} : { proofs }),
      ...(commandId === undefined ? {} : { commandId }),
    };
    const answer = await askNode(
      desk,
      nodeId,
      "node.capability.assign",
      question,
      controlPlaneLimits.nodeGrantMs,
    );
    return { done: answer.instances, failed: answer.failed };
  });
  // Not sooner: until its node has the new one, an instance goes on under the grant that this one replaces.
  desk.revoke(grants?.replacedOf(done) ?? []);
  if (failed.length > 0) throw refusedInPart(failed, { done });
  return { instances: done.toSorted(byText), ...warning };
}

/** A new grant for each of them, with what it replaces; undefined where nothing is signed. */
function grantOf(
  { grants }: Desk,
  targets: readonly InstanceView[],
  { assignment, commandId }: RequestOf<"ctl.capability.assign">,
) {
  if (grants === undefined) return undefined;
  const signed = new Map(
    targets.map((instance) => {
      const { instanceId } = instance.spec;
      const grantId = newGrantId(commandId, instanceId, assignment);
      const before = grants.grantIdOf(instance, assignment.capabilityId);
      return [
        instanceId,
        {
          proof: grants.sign(holderOf(instance), assignment, grantId),
          replaced: before === undefined || before === grantId ? [] : [before],
        },
      ];
    }),
  );
  return {
    proofsOf: (instanceIds: readonly string[]) => instanceIds.map((id) => signed.get(id)?.proof ?? ""),
    replacedOf: (instanceIds: readonly string[]) =>
      instanceIds.flatMap((id) => signed.get(id)?.replaced ?? []),
  };
}

/**
 * Takes a grant back; INVALID_REQUEST when none of the instances has it. With a `commandId` the nodes of those that have
 * it no more are asked as well: another control plane may have had it taken back, and ended before it could say so.
 */
export async function revokeCapability(
  desk: Desk,
  request: RequestOf<"ctl.capability.revoke">,
): Promise<AnswerOf<"ctl.capability.revoke">> {
  const { capabilityId, commandId } = request;
  const targets = livingTargets(desk, request);
  const holding = targets.filter((instance) => instance.assignments.has(capabilityId));
  // Providers first: they need not take the node's word for it, nor wait for it.
  desk.revoke(holding.flatMap((instance) => desk.grants?.grantIdOf(instance, capabilityId) ?? []));
  const asked = commandId === undefined ? holding : targets;
  const { done, failed } = await askNodesOf(desk, asked, async (nodeId, instanceIds) => {
    const question = { instanceIds, capabilityId, ...(commandId === undefined ? {} : { commandId }) };
    const answer = await askNode(
      desk,
      nodeId,
      "node.capability.revoke",
      question,
      controlPlaneLimits.nodeGrantMs,
    );
    return { done: answer.instances, failed: answer.failed };
  });
  const held = new Set(holding.map(({ spec }) => spec.instanceId));
  const refused = failed.filter(({ instanceId }) => held.has(instanceId));
  if (refused.length > 0) throw refusedInPart(refused, { done });
  if (done.length > 0) return { instances: done.toSorted(byText) };
  // Only a node can say that it was not this very command that took the grant back.
  const unsaid = failed.filter(({ error }) => error.code !== "INVALID_REQUEST");
  throw unsaid.length > 0 ? refusedInPart(unsaid, { done }) : notGranted(request, targets);
}

function notGranted(
  { instanceId, name, capabilityId }: RequestOf<"ctl.capability.revoke">,
  targets: readonly InstanceView[],
): Failure {
  const granted = [...new Set(targets.flatMap((instance) => [...instance.assignments.keys()]))];
  return new Failure("INVALID_REQUEST", `${instanceId ?? name} has no capability ${capabilityId}`, {
    fix:
      granted.length === 0
        ? "It has none at all; `wasmatrix inspect` shows the grants."
        : `It has: ${granted.join(", ")}.`,
    details: { fields: ["capabilityId"], granted },
  });
}

/** A page of the grants of all living instances; a page ends between instances, so it may exceed its limit by one's grants. */
export function listCapabilities(
  desk: Desk,
  request: RequestOf<"ctl.capability.list">,
): AnswerOf<"ctl.capability.list"> {
  const { after = "", limit = messageLimits.listPageMax } = request;
  const assignments: ListedAssignment[] = [];
  let last: string | undefined;
  for (const instance of instancesOf(desk)) {
    const { instanceId } = instance.spec;
    if (
      instance.status === "stopped" ||
      instance.assignments.size === 0 ||
      instanceId <= after ||
      !isMeant(instance, request)
    )
      continue;
    if (assignments.length >= limit)
      return { assignments, ...(last === undefined ? {} : { next: last }), view: desk.viewStatus() };
    for (const assignment of instance.assignments.values())
      assignments.push({ instanceId, nodeId: instance.nodeId, ...withoutProof(assignment) });
    last = instanceId;
  }
  return { assignments, view: desk.viewStatus() };
}

function byText(one: string, other: string): number {
  return one < other ? -1 : 1;
}
