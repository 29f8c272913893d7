import { randomId } from "../../src/chance.ts";
import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import { timestamp } from "../../src/clock.ts";
import { type InstanceView, isPlaced } from "../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { askNode, askNodesOf, refusedInPart } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { handOver } from "./hand-over.ts";
import { grantsOf } from "./signed-starts.ts";
import { instanceIdOf, startInstances } from "./start-instances.ts";
import { summarizeInstance } from "./summaries.ts";
import { knownInstance, livingTargets } from "./targets.ts";

/** Starts or stops copies until a name has that many; answers with those that there are then. */
export async function scaleInstances(
  desk: Desk,
  request: RequestOf<"ctl.instance.scale">,
): Promise<AnswerOf<"ctl.instance.scale">> {
  const present = livingTargets(desk, { name: request.name });
  const { count, commandId = randomId(20) } = request;
  const staying = present.toSorted(newestFirst(present)).slice(Math.max(0, present.length - count));
  const ending = present.filter((instance) => !staying.includes(instance));
  if (ending.length > 0) await stopAll(desk, ending, commandId);
  const kept = staying.map((instance) => summarizeInstance(desk, instance));
  const missing = count - present.length;
  const model = present.find((one) => isPlaced(desk.view, one));
  if (missing <= 0 || model === undefined) return { instances: kept.toSorted(byId) };
  const { instanceId: _, incarnation: __, placement: ___, ...spec } = model.spec;
  // A repeated command, or one that was cut short, has used some of its ids.
  const used = new Set(present.map((instance) => instance.spec.instanceId));
  const ids = Array.from({ length: count }, (_unused, index) => instanceIdOf(request.name, commandId, index))
    .filter((id) => !used.has(id))
    .slice(0, missing);
  const template = {
    ...spec,
    capabilities: [...grantsOf(desk, model).assignments],
    commandId,
    createdAt: timestamp(desk.clock),
  };
  for (const id of ids) desk.reserved.set(id, request.name);
  try {
    const start = { template, ids, incarnation: 1, bytes: undefined, wait: "running" as const };
    return { instances: [...kept, ...(await startInstances(desk, start))].toSorted(byId) };
  } finally {
    for (const id of ids) desk.reserved.delete(id);
  }
}

/** Moves one instance; its new copy answers before the old one ends. */
export async function relocateInstance(
  desk: Desk,
  { instanceId, nodeId }: RequestOf<"ctl.instance.relocate">,
): Promise<AnswerOf<"ctl.instance.relocate">> {
  const instance = knownInstance(desk, instanceId);
  if (nodeId !== undefined && !desk.view.nodes.has(nodeId))
    throw new Failure("NODE_NOT_FOUND", `no node ${nodeId} is known`, {
      fix: "`wasmatrix nodes` lists them.",
      details: { nodeId },
    });
  if (nodeId === instance.nodeId) return { instances: [summarizeInstance(desk, instance)] };
  const [living] = livingTargets(desk, { instanceId });
  const { leftOut } = grantsOf(desk, living ?? instance);
  const untilMs = desk.clock.now() + controlPlaneLimits.nodeStartMs;
  const { moved, left } = await handOver(desk, living === undefined ? [] : [living], { to: nodeId, untilMs });
  if (left.length > 0)
    throw refusedInPart(
      left.map((one) => ({ ...one, nodeId: instance.nodeId })),
      {},
    );
  return { instances: [...moved], ...leftOutWarning(leftOut) };
}

/** What the one who moves it should know: it has fewer grants afterwards than its node said. */
function leftOutWarning(capabilityIds: readonly string[]): { warning?: string } {
  if (capabilityIds.length === 0) return {};
  return {
    warning: `its node stated grants that no control plane has signed, or that were revoked; they were left out: ${capabilityIds.join(", ")}`,
  };
}

async function stopAll(desk: Desk, instances: readonly InstanceView[], commandId: string): Promise<void> {
  const { failed } = await askNodesOf(desk, instances, async (nodeId, instanceIds) => {
    const question = { instanceIds, commandId };
    const stopMs = controlPlaneLimits.nodeStopMs;
    const answer = await askNode(desk, nodeId, "node.instance.stop", question, stopMs);
    return { done: answer.instances, failed: answer.failed };
  });
  if (failed.length > 0) throw refusedInPart(failed, {});
}

/** Those on the fullest nodes first, and of those the newest: what is ended first keeps the spread even. */
function newestFirst(present: readonly InstanceView[]): (one: InstanceView, other: InstanceView) => number {
  const seen = new Map<string, number>();
  const turn = new Map<InstanceView, number>();
  for (const instance of present.toSorted((one, other) =>
    one.spec.createdAt < other.spec.createdAt ? -1 : 1,
  )) {
    const count = (seen.get(instance.nodeId) ?? 0) + 1;
    seen.set(instance.nodeId, count);
    turn.set(instance, count);
  }
  return (one, other) => (turn.get(other) ?? 0) - (turn.get(one) ?? 0);
}

function byId(one: { instanceId: string }, other: { instanceId: string }): number {
  return one.instanceId < other.instanceId ? -1 : 1;
}
