import { createHash } from "node:crypto";
import type { QuestionOf } from "../../src/bus/ask.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { asFailure, errorBody, Failure } from "../../src/protocol/errors.ts";
import type { InstanceSummary } from "../../src/protocol/instance-spec.ts";
import { askNode, type NodeRefusal, refusedInPart } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { distribute, noPlace, type Placement, place } from "./place.ts";
import { placeableNodes, type PlacedTemplate, wantedOf } from "./placeable-nodes.ts";
import { startOnNode } from "./signed-starts.ts";
import { holdersFor, storeModule } from "./store-module.ts";

/** Copies of one template that are to run somewhere. */
export interface Start {
  readonly template: QuestionOf<"node.instance.start">["template"];
  readonly ids: readonly string[];
  readonly incarnation: number;
  /** Copies that the same command has brought to a node before: only that node is asked for them. */
  readonly placed?: ReadonlyMap<string, string>;
  /** Brought to each chosen node first; without it the nodes pull from holders. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
  readonly wait: "running" | "accepted";
}

/** The id of a command's copy; a repeated command comes to the same ids, whoever carries it out. */
export function instanceIdOf(name: string | undefined, commandId: string, index: number): string {
  const hash = createHash("sha256").update(`${commandId}:${index}`).digest("hex");
  // A name of 64 letters leaves no room for the nine characters that make it unique.
  const stem = (name ?? "i").slice(0, 55).replace(/[-_]+$/, "");
  return `${stem}-${hash.slice(0, 8)}`;
}

interface Progress {
  readonly started: InstanceSummary[];
  /** Why it did not start at its last try, by instance. */
  readonly failed: Map<string, NodeRefusal>;
  /** Why it takes no more of this start, by node. */
  readonly refused: Map<string, string>;
  /** Nodes that may run copies although they did not say so. */
  readonly uncertain: Map<string, string[]>;
}

/**
 * Starts all of them or none: nodes are asked in the order of placement, what one refuses goes to the next, and if
 * in the end some cannot be started, those that were are stopped again and the failure names both.
 */
export async function startInstances(desk: Desk, start: Start): Promise<InstanceSummary[]> {
  const progress: Progress = { started: [], failed: new Map(), refused: new Map(), uncertain: new Map() };
  const { placed = new Map<string, string>() } = start;
  let waiting = start.ids.filter((id) => !placed.has(id));
  const before = Map.groupBy(placed.keys(), (id) => placed.get(id) ?? "");
  waiting.push(
    ...(
      await Promise.all([...before].map(([nodeId, ids]) => startOn(desk, nodeId, ids, start, progress)))
    ).flat(),
  );
  while (waiting.length > 0) {
    const placement = placementOf(desk, start.template, progress.refused);
    const { shares, left } = distribute(placement.candidates, waiting);
    if (left.length > 0) {
      await undo(desk, progress);
      throw cannotPlace(
        start,
        progress,
        noPlace(withFull(placement, left.length), `${left.length} of ${start.ids.length} instances`),
      );
    }
    const again = await Promise.all(
      [...shares].map(([nodeId, ids]) => startOn(desk, nodeId, ids, start, progress)),
    );
    const hopeless = [...progress.failed.values()].filter((one) => !canGoElsewhere(one.error));
    if (hopeless.length > 0) {
      await undo(desk, progress);
      throw refusedInPart(hopeless, { stoppedAgain: progress.started.map(({ instanceId }) => instanceId) });
    }
    waiting = again.flat();
  }
  const order = new Map(start.ids.map((id, index) => [id, index]));
  return progress.started.toSorted(
    (one, other) => (order.get(one.instanceId) ?? 0) - (order.get(other.instanceId) ?? 0),
  );
}

/** Where copies of that template can go now; of a pinned one only its own node is spoken of. */
export function placementOf(
  desk: Desk,
  template: PlacedTemplate,
  refused: ReadonlyMap<string, string> = new Map(),
): Placement {
  const wanted = { ...wantedOf(desk, template), refused, only: template.pinnedTo };
  return place(placeableNodes(desk, template), wanted);
}

/** Starts a share on one node; returns the ids that another node may take. */
async function startOn(
  desk: Desk,
  nodeId: string,
  ids: string[],
  start: Start,
  progress: Progress,
): Promise<string[]> {
  const { template, incarnation, bytes, wait } = start;
  let asked = false;
  try {
    if (bytes !== undefined) await storeModule(desk, nodeId, template.moduleHash, bytes);
    const holders = holdersFor(desk, template.moduleHash, nodeId);
    asked = true;
    const copies = { template, instanceIds: ids, incarnation, holders, wait };
    const answer = await startOnNode(desk, nodeId, copies, controlPlaneLimits.nodeStartMs);
    progress.started.push(...answer.instances);
    for (const id of ids) progress.failed.delete(id);
    for (const one of answer.failed) note(progress, { ...one, nodeId });
    const missing = ids.filter(
      (id) => !answer.instances.some((one) => one.instanceId === id) && !progress.failed.has(id),
    );
    if (missing.length > 0) throw incomplete(nodeId, missing);
    return answer.failed.filter(({ error }) => canGoElsewhere(error)).map(({ instanceId }) => instanceId);
  } catch (error) {
    const failure = asFailure(error);
    const repeatable = !asked || failure.details?.["safeToRepeat"] === true || failure.retry === "elsewhere";
    // After a lost answer the copies may run: the same id must not be started on a second node.
    const certain = repeatable
      ? failure
      : new Failure(failure.code, failure.message, { ...contextOf(failure), retry: "never" });
    if (asked && !repeatable) progress.uncertain.set(nodeId, ids);
    const goesOn = repeatable && failure.retry !== "never";
    const body = errorBody(certain, new Date(desk.clock.now()).toISOString());
    for (const instanceId of ids)
      note(progress, { instanceId, nodeId, error: goesOn ? { ...body, retry: "elsewhere" } : body });
    return goesOn ? ids : [];
  }
}

function note(progress: Progress, refusal: NodeRefusal): void {
  progress.failed.set(refusal.instanceId, refusal);
  if (canGoElsewhere(refusal.error))
    progress.refused.set(refusal.nodeId, `refused: ${refusal.error.message}`);
}

function canGoElsewhere({ retry }: { retry: string }): boolean {
  return retry === "elsewhere";
}

/** Stops what was started; what cannot be stopped is logged, for the failure that follows says what was tried. */
async function undo(desk: Desk, { started, uncertain }: Progress): Promise<void> {
  const byNode = new Map(uncertain);
  for (const { nodeId, instanceId } of started)
    byNode.set(nodeId, [...(byNode.get(nodeId) ?? []), instanceId]);
  await Promise.all(
    [...byNode].map(async ([nodeId, instanceIds]) => {
      try {
        await askNode(desk, nodeId, "node.instance.stop", { instanceIds }, controlPlaneLimits.nodeStopMs);
      } catch (error) {
        desk.log.error(
          { node: nodeId, instances: instanceIds, reason: String(error) },
          "copies of a failed start could not be stopped again",
        );
      }
    }),
  );
}

/** Candidates that have places, but not enough, are as full as the others. */
function withFull(placement: Placement, missing: number): Placement {
  const short = placement.candidates.map(({ nodeId, free }) => ({
    nodeId,
    reason: `has only ${free} places free, ${missing} too few`,
    full: true,
  }));
  return { candidates: [], unfit: [...short, ...placement.unfit] };
}

/** Where nodes were asked and refused, the last refusal's code says more than that no node is left. */
function cannotPlace(start: Start, progress: Progress, failure: Failure): Failure {
  const [last] = [...progress.failed.values()].slice(-1);
  const details = {
    ...failure.details,
    stoppedAgain: progress.started.map(({ instanceId }) => instanceId),
    wanted: start.ids.length,
  };
  return new Failure(last?.error.code ?? failure.code, failure.message, { ...contextOf(failure), details });
}

function incomplete(nodeId: string, missing: string[]): Failure {
  return new Failure(
    "COMMUNICATION_FAILURE",
    `node ${nodeId} did not say what became of ${missing.length} instances`,
    {
      fix: "`wasmatrix ps` shows what runs; node and control plane should have the same version.",
      details: { nodeId, instanceIds: missing.slice(0, controlPlaneLimits.failuresListedMax) },
      retry: "never",
    },
  );
}

function contextOf({ fix, details, retry, cause }: Failure) {
  return {
    ...(fix === undefined ? {} : { fix }),
    ...(details === undefined ? {} : { details }),
    retry,
    cause,
  };
}
