import type { QuestionOf } from "../../src/bus/ask.ts";
import type { Timer } from "../../src/clock.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { controlPlaneLimits, messageLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { endCopiesOfStopped } from "./end-stopped.ts";
import { livingCopies } from "./living-copies.ts";

/** Ends copies of instances that other copies outrank. */
export interface Fencing {
  /** That instance was said to run somewhere. */
  look(instanceId: string): void;
  /** Any instance of that node may have copies elsewhere. */
  lookAtAll(nodeId: string): void;
  stop(): void;
}

type Copy = QuestionOf<"node.instance.fence">["instances"][number];

/**
 * Of two living copies of one instance the higher incarnation counts, of equal ones the one on the lower node id (see
 * `outranks`). The control plane that leads tells the loser's node, which ends it and says so in a fact. Each look
 * is a reaction to something that a node said.
 */
export function createFencing(desk: Desk): Fencing {
  const changedNodes = new Set<string>();
  const changed = new Set<string>();
  const told = new Set<string>();
  let timer: Timer;
  let isStopped = false;

  function act(): void {
    timer = undefined;
    for (const nodeId of changedNodes)
      for (const instanceId of desk.view.nodes.get(nodeId)?.instances.keys() ?? []) changed.add(instanceId);
    const instanceIds = [...changed];
    changed.clear();
    changedNodes.clear();
    if (!desk.peers.leads()) return;
    endCopiesOfStopped(desk, instanceIds);
    const losers = new Map<string, Copy[]>();
    for (const instanceId of instanceIds) {
      const copies = livingCopies(desk, instanceId);
      for (const [rank, loser] of copies.entries()) {
        const winner = copies.slice(0, rank).find((copy) => takesOver(copy, loser));
        if (winner !== undefined) addLoser(losers, winner, loser);
      }
    }
    for (const [nodeId, copies] of losers) void fence(nodeId, copies);
  }

  async function fence(nodeId: string, copies: readonly Copy[]): Promise<void> {
    const fresh = copies.filter((copy) => !told.has(keyOf(nodeId, copy)));
    for (let from = 0; from < fresh.length; from += messageLimits.startCountMax) {
      const instances = fresh.slice(from, from + messageLimits.startCountMax);
      for (const copy of instances) told.add(keyOf(nodeId, copy));
      try {
        await askNode(desk, nodeId, "node.instance.fence", { instances }, controlPlaneLimits.nodeStopMs);
        desk.log.info({ node: nodeId, count: instances.length }, "copies were told to make room");
      } catch (error) {
        const { code, message } = asFailure(error);
        desk.log.warn({ node: nodeId, code, reason: message }, "copies could not be told to make room");
        // It may have come back while it was still being asked, and then nothing else makes anybody look again.
        for (const { instanceId } of instances) changed.add(instanceId);
        later(controlPlaneLimits.relocateRetryMs);
      } finally {
        for (const copy of instances) told.delete(keyOf(nodeId, copy));
      }
    }
  }

  function later(ms: number = controlPlaneLimits.relocateGatherMs): void {
    if (!isStopped) timer ??= desk.clock.setTimeout(act, ms);
  }

  return {
    look(instanceId) {
      changed.add(instanceId);
      later();
    },
    lookAtAll(nodeId) {
      changedNodes.add(nodeId);
      later();
    },
    stop() {
      isStopped = true;
      desk.clock.clearTimeout(timer);
    },
  };
}

/** A copy that starts may never run, and the one before it goes on until it does; so does one that yields, whatever becomes of the other. */
function takesOver({ status }: InstanceView, loser: InstanceView): boolean {
  return status === "running" || (status !== "starting" && !loser.yields);
}

function addLoser(losers: Map<string, Copy[]>, winner: InstanceView, loser: InstanceView): void {
  const { instanceId, incarnation } = loser.spec;
  const copy = {
    instanceId,
    incarnation,
    by: { nodeId: winner.nodeId, incarnation: winner.spec.incarnation },
  };
  losers.set(loser.nodeId, [...(losers.get(loser.nodeId) ?? []), copy]);
}

function keyOf(nodeId: string, { instanceId, incarnation }: Copy): string {
  return `${nodeId} ${instanceId} ${incarnation}`;
}
