import { nextIncarnation } from "../../src/lattice/view.ts";
import type { Desk } from "./desk.ts";

/** Which nodes were asked to run what is homeless, until the view shows what became of that. */
export interface AskedStarts {
  /** Whether its node said that it runs it, and lives, and what it states has not been heard yet. */
  isTaken(instanceId: string): boolean;
  /** The incarnation to ask that node for: later than any known one, and than one that somebody else may run unheard. */
  incarnationFor(instanceId: string, nodeId: string): number;
  /** That node is asked now; without an answer it may run it or not. */
  ask(instanceId: string, nodeId: string, incarnation: number): void;
  /** It said whether it runs it. */
  answer(instanceId: string, isTaken: boolean): void;
  /** Forgets what the view has overtaken, and of lives that are over what is not in these. */
  prune(homelessIds: ReadonlySet<string>): void;
}

interface Asked {
  readonly nodeId: string;
  /** The life of that node that was asked; undefined where none was known. */
  readonly epoch: number | undefined;
  readonly incarnation: number;
  readonly isTaken: boolean;
}

/** An answer may be here before the facts that it is about, and the view then still says that nobody runs it. */
export function createAskedStarts({ view, presence }: Pick<Desk, "view" | "presence">): AskedStarts {
  const latest = new Map<string, Asked>();
  const epochOf = (nodeId: string) => view.nodes.get(nodeId)?.epoch;

  return {
    isTaken(instanceId) {
      const one = latest.get(instanceId);
      if (one?.isTaken !== true || one.epoch !== epochOf(one.nodeId)) return false;
      const heard = view.nodes.get(one.nodeId)?.instances.get(instanceId);
      return presence.statusOf(one.nodeId) !== "lost" && (heard?.spec.incarnation ?? 0) < one.incarnation;
    },
    incarnationFor(instanceId, nodeId) {
      const next = nextIncarnation(view, instanceId);
      const one = latest.get(instanceId);
      if (one === undefined) return next;
      const isSame = one.nodeId === nodeId && one.epoch === epochOf(nodeId) && !one.isTaken;
      return Math.max(next, one.incarnation + (isSame ? 0 : 1));
    },
    ask(instanceId, nodeId, incarnation) {
      latest.set(instanceId, { nodeId, epoch: epochOf(nodeId), incarnation, isTaken: false });
    },
    answer(instanceId, isTaken) {
      const one = latest.get(instanceId);
      if (!isTaken) latest.delete(instanceId);
      else if (one !== undefined) latest.set(instanceId, { ...one, isTaken });
    },
    prune(homelessIds) {
      for (const [instanceId, { nodeId, epoch, incarnation }] of latest) {
        const isOver = epoch !== epochOf(nodeId) && !homelessIds.has(instanceId);
        if (isOver || nextIncarnation(view, instanceId) > incarnation) latest.delete(instanceId);
      }
    },
  };
}
