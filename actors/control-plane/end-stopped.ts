import { type InstanceView, isLaterCopy, isPlaced, isStartedAfter } from "../../src/lattice/view.ts";
import { controlPlaneLimits, messageLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { livingCopies } from "./living-copies.ts";

/**
 * Ends what lives on of instances of which a copy was stopped by command, while that copy's node or another one was out of
 * reach: it comes back with a copy that it knows to live, or carries out late what it had been told. Whoever stopped it
 * was answered so; all of them end.
 */
export function endCopiesOfStopped(desk: Desk, instanceIds: readonly string[]): void {
  const ending = new Map<string, { nodeId: string; commandId: string; ids: string[] }>();
  for (const instanceId of instanceIds) {
    const living = livingCopies(desk, instanceId);
    const stopped = living.length === 0 ? undefined : stoppedByCommand(desk, instanceId);
    if (stopped?.cause === undefined) continue;
    for (const copy of living) {
      const { nodeId, spec } = copy;
      // A later start of the same id is another instance.
      if (isStartedAfter(copy, stopped)) continue;
      if (spec.commandId !== stopped.spec.commandId && !isLaterCopy(stopped, copy)) continue;
      const key = `${nodeId} ${stopped.cause}`;
      const batch = ending.get(key) ?? { nodeId, commandId: stopped.cause, ids: [] };
      batch.ids.push(instanceId);
      ending.set(key, batch);
    }
  }
  for (const { nodeId, commandId, ids } of ending.values()) void end(desk, nodeId, commandId, ids);
}

async function end(
  desk: Desk,
  nodeId: string,
  commandId: string,
  instanceIds: readonly string[],
): Promise<void> {
  for (let from = 0; from < instanceIds.length; from += messageLimits.startCountMax) {
    const question = { instanceIds: instanceIds.slice(from, from + messageLimits.startCountMax), commandId };
    try {
      await askNode(desk, nodeId, "node.instance.stop", question, controlPlaneLimits.nodeStopMs);
    } catch (error) {
      const { code, message } = asFailure(error);
      desk.log.warn(
        { node: nodeId, code, reason: message },
        "other copies of what was stopped could not be stopped",
      );
    }
  }
}

/** The latest copy that a command has stopped; what ends because it is outranked was not meant to end everywhere. */
function stoppedByCommand(desk: Desk, instanceId: string): InstanceView | undefined {
  let latest = desk.view.ended.get(instanceId);
  for (const node of desk.view.nodes.values()) {
    const copy = node.instances.get(instanceId);
    if (copy?.status !== "stopped" || copy.cause === undefined || !isPlaced(desk.view, copy)) continue;
    if (latest === undefined || isLaterCopy(copy, latest)) latest = copy;
  }
  return latest;
}
