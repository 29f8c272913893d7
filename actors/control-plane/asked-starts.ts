import { type LatticeView, nextIncarnation } from "../../src/lattice/view.ts";
import type { Presence } from "./presence.ts";

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
  /** Undefined where that node refused, and others may run it. */
  readonly nodeId: string | undefined;
  /** The life of that node that was asked; undefined where none was known. */
  readonly epoch: number | undefined;
  readonly incarnation: number;
  readonly isTaken: boolean;
  /** The latest incarnation that a node which was asked before it may run; 0 where there is none. */
  readonly earlier: number;
}

/** An answer may be here before the facts that it is about, and the view then still says that nobody runs it. */
export function createAskedStarts({
  view,
  presence,
}: {
  view: LatticeView;
  presence: Pick<Presence, "statusOf">;
}): AskedStarts {
  const latest = new Map<string, Asked>();
  const epochOf = (nodeId: string) => view.nodes.get(nodeId)?.epoch;
  const isSame = ({ nodeId, epoch, isTaken }: Asked, asked: string) =>
    nodeId === asked && epoch === epochOf(asked) && !isTaken;

  return {
    isTaken(instanceId) {
      const one = latest.get(instanceId);
      if (one?.nodeId === undefined || !one.isTaken || one.epoch !== epochOf(one.nodeId)) return false;
      const heard = view.nodes.get(one.nodeId)?.instances.get(instanceId);
      return presence.statusOf(one.nodeId) !== "lost" && (heard?.spec.incarnation ?? 0) < one.incarnation;
    },
    incarnationFor(instanceId, nodeId) {
      const next = nextIncarnation(view, instanceId);
      const one = latest.get(instanceId);
      if (one === undefined) return next;
      return Math.max(next, one.incarnation + (isSame(one, nodeId) ? 0 : 1));
    },
    ask(instanceId, nodeId, incarnation) {
      const before = latest.get(instanceId);
      const earlier = before === undefined ? 0 : isSame(before, nodeId) ? before.earlier : before.incarnation;
      latest.set(instanceId, { nodeId, epoch: epochOf(nodeId), incarnation, isTaken: false, earlier });
    },
    answer(instanceId, isTaken) {
      const one = latest.get(instanceId);
      if (one === undefined) return;
      if (isTaken) latest.set(instanceId, { ...one, isTaken });
      else if (one.earlier === 0) latest.delete(instanceId);
      else latest.set(instanceId, { ...one, nodeId: undefined, epoch: undefined, incarnation: one.earlier });
    },
    prune(homelessIds) {
      for (const [instanceId, { nodeId, epoch, incarnation }] of latest) {
        const isGone = nodeId === undefined || epoch !== epochOf(nodeId);
        const isOver = isGone && !homelessIds.has(instanceId);
        if (isOver || nextIncarnation(view, instanceId) > incarnation) latest.delete(instanceId);
      }
    },
  };
}
