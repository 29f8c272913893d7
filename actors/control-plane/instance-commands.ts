import { randomId } from "../../src/chance.ts";
import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import { findInstance, type InstanceView } from "../../src/lattice/view.ts";
import { controlPlaneLimits, messageLimits } from "../../src/limits.ts";
import { askNode, askNodesOf, refusedInPart } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { planStart } from "./plan-start.ts";
import { warningsOf } from "./provider-warnings.ts";
import { moduleOf } from "./resolve-module.ts";
import { assertFree, assertHeld, assertPlaceable, joined, pinWarning } from "./start-checks.ts";
import { startInstances } from "./start-instances.ts";
import { idsOf, templateOf } from "./start-template.ts";
import { describeInstance, instancesOf, summarizeInstance } from "./summaries.ts";
import { isMeant, knownInstance, livingTargets } from "./targets.ts";

/** Starts copies of a module; answers once they run, or are accepted if that is what was asked. */
export async function startInstance(
  desk: Desk,
  request: RequestOf<"ctl.instance.start">,
): Promise<AnswerOf<"ctl.instance.start">> {
  if (request.dryRun === true) return planStart(desk, request);
  const { name, capabilities, wait } = request;
  const commandId = request.commandId ?? randomId(20);
  const ids = idsOf(request, commandId);
  const before = startedBefore(desk, ids, request.commandId);
  if (before !== undefined) return { instances: before.map((instance) => summarizeInstance(desk, instance)) };
  const begun = ids
    .map((id) => findInstance(desk.view, id)?.spec)
    .find((spec) => spec?.commandId === commandId);
  if (begun === undefined) assertPlaceable(desk, request);
  const { bytes, ...module } = await moduleOf(desk, request, begun);
  // A control plane that died may have started some of them.
  const placed = new Map(
    ids.flatMap((id) => {
      const found = findInstance(desk.view, id);
      return found?.spec.commandId === commandId ? [[id, found.nodeId]] : [];
    }),
  );
  const fresh = ids.filter((id) => !placed.has(id));
  assertFree(desk, fresh, name);
  const warning = joined([warningsOf(desk, capabilities).warning, pinWarning(request)]);
  if ("digest" in request.module) assertHeld(desk, module.moduleHash);
  const template = templateOf(desk, request, module, commandId);
  const former = Math.max(0, ...fresh.map((id) => findInstance(desk.view, id)?.spec.incarnation ?? 0));
  for (const id of ids) desk.reserved.set(id, name);
  try {
    const start = { template, ids, placed, incarnation: former + 1, bytes, wait };
    return { instances: await startInstances(desk, start), ...warning };
  } finally {
    for (const id of ids) desk.reserved.delete(id);
  }
}

/** Stops one instance, or all living ones of a name. */
export function stopInstance(
  desk: Desk,
  request: RequestOf<"ctl.instance.stop">,
): Promise<AnswerOf<"ctl.instance.stop">> {
  return change(desk, request, "node.instance.stop", controlPlaneLimits.nodeStopMs);
}

/** Restarts one instance, or all living ones of a name, also those that gave up. */
export function restartInstance(
  desk: Desk,
  request: RequestOf<"ctl.instance.restart">,
): Promise<AnswerOf<"ctl.instance.restart">> {
  return change(desk, request, "node.instance.restart", controlPlaneLimits.nodeStartMs);
}

/** Everything that is known of one instance, the stopped ones included. */
export function queryInstance(
  desk: Desk,
  { instanceId }: RequestOf<"ctl.instance.query">,
): AnswerOf<"ctl.instance.query"> {
  return { instance: describeInstance(desk, knownInstance(desk, instanceId)), view: desk.viewStatus() };
}

/** A page of the instances, in the order of their ids. */
export function listInstances(
  desk: Desk,
  request: RequestOf<"ctl.instance.list">,
): AnswerOf<"ctl.instance.list"> {
  const { nodeId, all, after = "", limit = messageLimits.listPageMax } = request;
  const meant = instancesOf(desk).filter(
    (instance) =>
      isMeant(instance, request) &&
      (nodeId === undefined || instance.nodeId === nodeId) &&
      (all || instance.status !== "stopped") &&
      instance.spec.instanceId > after,
  );
  const instances = meant.slice(0, limit).map((instance) => summarizeInstance(desk, instance));
  const next = meant.length > limit ? instances.at(-1)?.instanceId : undefined;
  return { instances, ...(next === undefined ? {} : { next }), view: desk.viewStatus() };
}

async function change(
  desk: Desk,
  request: RequestOf<"ctl.instance.stop">,
  name: "node.instance.stop" | "node.instance.restart",
  timeoutMs: number,
): Promise<AnswerOf<"ctl.instance.stop">> {
  const { commandId } = request;
  const { done, failed } = await askNodesOf(
    desk,
    livingTargets(desk, request),
    async (nodeId, instanceIds) => {
      const question = { instanceIds, ...(commandId === undefined ? {} : { commandId }) };
      const answer = await askNode(desk, nodeId, name, question, timeoutMs);
      return { done: answer.instances, failed: answer.failed };
    },
  );
  if (failed.length > 0) throw refusedInPart(failed, { done: done.map(({ instanceId }) => instanceId) });
  return { instances: done.toSorted((one, other) => (one.instanceId < other.instanceId ? -1 : 1)) };
}

/** What the same command started when another control plane, or an earlier life of this one, took it. */
function startedBefore(
  desk: Desk,
  ids: readonly string[],
  commandId: string | undefined,
): InstanceView[] | undefined {
  if (commandId === undefined) return undefined;
  const found = ids.flatMap((id) => findInstance(desk.view, id) ?? []);
  const all = found.length === ids.length && found.every(({ spec }) => spec.commandId === commandId);
  return all ? found : undefined;
}
