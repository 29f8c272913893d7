import { randomId } from "../../src/chance.ts";
import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import { timestamp } from "../../src/clock.ts";
import { findInstance, type InstanceView } from "../../src/lattice/view.ts";
import { controlPlaneLimits, messageLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { askNode, askNodesOf, refusedInPart } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { warningsOf } from "./provider-warnings.ts";
import { instanceIdOf, startInstances } from "./start-instances.ts";
import { moduleOf } from "./resolve-module.ts";
import { holdersOf } from "./store-module.ts";
import { describeInstance, instancesOf, statusOf, summarizeInstance } from "./summaries.ts";
import { isMeant, knownInstance, livingTargets } from "./targets.ts";

/** Starts copies of a module; answers once they run, or are accepted if that is what was asked. */
export async function startInstance(
  desk: Desk,
  request: RequestOf<"ctl.instance.start">,
): Promise<AnswerOf<"ctl.instance.start">> {
  const { name, instanceId, count, capabilities, restartPolicy, limits, config, requires } = request;
  const { onNodeLoss, reuse, wait } = request;
  const commandId = request.commandId ?? randomId(20);
  const ids =
    instanceId === undefined
      ? Array.from({ length: count }, (_, index) => instanceIdOf(name, commandId, index))
      : [instanceId];
  const before = startedBefore(desk, ids, request.commandId);
  if (before !== undefined) return { instances: before.map((instance) => summarizeInstance(desk, instance)) };
  const begun = ids
    .map((id) => findInstance(desk.view, id)?.spec)
    .find((spec) => spec?.commandId === commandId);
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
  const warning = warningsOf(desk, capabilities);
  if ("digest" in request.module) assertHeld(desk, module.moduleHash);
  const named = name === undefined ? {} : { name };
  const createdAt = timestamp(desk.clock);
  const template = {
    ...named,
    ...module,
    capabilities,
    restartPolicy,
    limits,
    config,
    requires,
    onNodeLoss,
    reuse,
    commandId,
    createdAt,
  };
  const former = Math.max(0, ...fresh.map((id) => findInstance(desk.view, id)?.spec.incarnation ?? 0));
  for (const id of ids) desk.reserved.set(id, name);
  try {
    const instances = await startInstances(desk, {
      template,
      ids,
      placed,
      incarnation: former + 1,
      bytes,
      wait,
    });
    return { instances, ...warning };
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

function assertFree(desk: Desk, ids: readonly string[], name: string | undefined): void {
  for (const id of ids) {
    const known = findInstance(desk.view, id);
    if (desk.reserved.has(id) || (known !== undefined && known.status !== "stopped"))
      throw new Failure(
        "INSTANCE_EXISTS",
        `instance ${id} exists already${known === undefined ? ", it is being started" : `: it is ${statusOf(desk, known)} on node ${known.nodeId}`}`,
        {
          fix: "Choose another instanceId or leave it out; `wasmatrix stop` ends the one there is.",
          details: {
            instanceId: id,
            ...(known === undefined ? {} : { nodeId: known.nodeId, status: statusOf(desk, known) }),
          },
        },
      );
  }
  // Calls are addressed by id or by name in the same place of the subject: one word must not mean two things.
  const living = instancesOf(desk).filter((instance) => instance.status !== "stopped");
  const names = new Set([...living.map(({ spec }) => spec.name), ...desk.reserved.values()]);
  const others = new Set([...living.map(({ spec }) => spec.instanceId), ...desk.reserved.keys()]);
  const clash = ids.find((id) => names.has(id) || (id === name && ids.length > 1));
  if (clash !== undefined)
    throw ambiguous(`instanceId ${clash} is the name of other instances`, "instanceId");
  if (name !== undefined && !ids.includes(name) && others.has(name))
    throw ambiguous(`name ${name} is the id of another instance`, "name");
}

function ambiguous(message: string, field: string): Failure {
  return new Failure("INVALID_REQUEST", `${message}: a call to it could mean either`, {
    fix: "Choose another one; `wasmatrix ps` shows the ids and names in use.",
    details: { fields: [field] },
  });
}

function assertHeld(desk: Desk, digest: string): void {
  if (holdersOf(desk, digest).length > 0) return;
  const { complete, gaps } = desk.viewStatus();
  throw new Failure("MODULE_NOT_FOUND", `no node in reach holds module ${digest}`, {
    fix: `Store it first with module.put, or start from the file: \`wasmatrix start <file.wasm>\`.${complete ? "" : " The view of the lattice is not complete yet; ask again in a moment."}`,
    details: { digest, gaps },
    retry: complete ? "never" : "later",
  });
}
