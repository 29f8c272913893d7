import { ask } from "../../src/bus/ask.ts";
import type { Subscription } from "../../src/bus/bus.ts";
import { type AnswerOf, serve } from "../../src/bus/serve.ts";
import { applyRecalled } from "../../src/lattice/apply-fact.ts";
import { replayOf } from "../../src/lattice/tell-again.ts";
import { type InstanceView, isLeftBehind, isOrphan, type NodeView } from "../../src/lattice/view.ts";
import { controlPlaneLimits, viewLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { FactReplay } from "../../src/protocol/facts.ts";
import type { ControlPlaneBeat } from "../../src/protocol/node-commands.ts";
import type { Desk } from "./desk.ts";
import { isOutOfReach } from "./summaries.ts";

/** What control planes tell each other of nodes that cannot be asked any more. */
export interface Recall {
  /** Whether the others were asked about the life of its node that this copy was on, as far as it is known here. */
  isAgreed(copy: InstanceView): boolean;
  /**
   * Asks each of the others what it has heard more; resolves when all have answered or have had their time, with the nodes that
   * they do not hold for lost and that are not known here. Never rejects.
   */
  ask(): Promise<readonly string[]>;
  /** Copies that this one knows on nodes that cannot be asked. */
  outOfReach(): number;
  /** Another control plane was heard: it is asked if it knows of more. */
  heardPeer(beat: ControlPlaneBeat): void;
  serve(): Subscription;
}

type Life = Pick<NodeView, "nodeId" | "epoch" | "seq">;

/**
 * Whoever heard the most of a life of a node has the say on what it left behind. A control plane that was off the bus, or has just
 * begun, would bring back what was stopped meanwhile, and would not bring back what it never heard of; only the others
 * can tell, for that node is gone.
 */
export function createRecall(desk: Desk, onRecalled: () => void): Recall {
  const { lattice, bus, clock, log, view, presence, peers } = desk;
  /** Lives about which everybody was asked, as far as they are known here. */
  let agreed = new Set<string>();
  let comparedAt = Number.NEGATIVE_INFINITY;

  async function askOne(controlPlane: string): Promise<readonly string[]> {
    const heard = [...view.nodes.values(), ...view.former.values()]
      .slice(0, viewLimits.recallLivesMax)
      .map(({ nodeId, epoch, seq }) => ({ node: nodeId, epoch, seq }));
    const parts: FactReplay[] = [];
    let answer: AnswerOf<"plane.recall">;
    do {
      const question = { heard, from: parts.length };
      const timeoutMs = controlPlaneLimits.recallTimeoutMs;
      answer = await ask(bus, "plane.recall", { lattice, controlPlane }, question, { timeoutMs });
      parts.push(...answer.parts);
    } while (!answer.isLast && answer.parts.length > 0);
    take(controlPlane, parts);
    return (answer.nodes ?? []).filter((nodeId) => !view.nodes.has(nodeId));
  }

  function take(controlPlane: string, parts: readonly FactReplay[]): void {
    const lives = [...Map.groupBy(parts, ({ replayId }) => replayId).values()];
    const recalled = lives.filter(([first, ...others]) => {
      if (first === undefined || first.count !== others.length + 1) return false;
      const { node: nodeId, epoch, seq } = first;
      const facts = [first, ...others].flatMap((part) => part.facts);
      const isNews = applyRecalled(view, { nodeId, epoch, seq, lastHeardAt: Date.parse(first.at), facts });
      if (!isNews) return false;
      presence.recalled(nodeId);
      agreed.add(keyOf({ nodeId, epoch, seq }));
      return true;
    });
    if (recalled.length === 0) return;
    log.info({ controlPlane, lives: recalled.length }, "another control plane had heard more");
    onRecalled();
  }

  function reported(controlPlane: string): (error: unknown) => readonly string[] {
    return (error) => {
      const { code, message } = asFailure(error);
      log.debug({ controlPlane, code, reason: message }, "another control plane did not say what it knows");
      return [];
    };
  }

  function outOfReach(): number {
    let copies = view.orphans.size + view.ended.size;
    for (const { nodeId, instances } of view.nodes.values())
      if (isOutOfReach(desk, nodeId)) copies += instances.size;
    return copies;
  }

  /** Of nodes that cannot be asked themselves, and that left something behind where they have begun another life. */
  function livesOver(): NodeView[] {
    const gone = [...view.nodes.values()].filter(({ nodeId }) => isOutOfReach(desk, nodeId));
    const former = [...view.former.values()].map((life) => ({
      ...life,
      instances: new Map([...life.instances].filter(([, copy]) => isLeftBehind(view, copy))),
    }));
    return [...gone, ...former];
  }

  return {
    isAgreed(copy) {
      if (peers.others().length === 0) return true;
      const former = view.former.get(copy.nodeId);
      const isFormer = former?.instances.get(copy.spec.instanceId) === copy;
      if (!isFormer && isOrphan(view, copy)) return true;
      const life = isFormer ? former : view.nodes.get(copy.nodeId);
      return life === undefined || agreed.has(keyOf(life));
    },
    async ask() {
      const over = livesOver().map(keyOf);
      const unheard = await Promise.all(
        peers.others().map((controlPlane) => askOne(controlPlane).catch(reported(controlPlane))),
      );
      const stillOver = new Set(livesOver().map(keyOf));
      agreed = new Set([...over, ...agreed].filter((key) => stillOver.has(key)));
      return [...new Set(unheard.flat())];
    },
    outOfReach,
    heardPeer(beat) {
      if ((beat.outOfReach ?? 0) <= outOfReach()) return;
      if (clock.now() - comparedAt < controlPlaneLimits.recallEveryMs) return;
      comparedAt = clock.now();
      void askOne(beat.controlPlane).catch(reported(beat.controlPlane));
    },
    serve: () =>
      serve(bus, clock, "plane.recall", { lattice, controlPlane: desk.controlPlaneId }, ({ heard, from }) => {
        const known = new Map(heard.map(({ node, epoch, seq }) => [`${node} ${epoch}`, seq]));
        const parts = livesOver()
          .filter((life) => {
            const seq = known.get(`${life.nodeId} ${life.epoch}`);
            return seq === undefined ? life.instances.size > 0 : seq < life.seq;
          })
          .flatMap((life) =>
            replayOf(life, {
              lattice,
              at: new Date(life.lastHeardAt).toISOString(),
              replayId: keyOf(life),
            }),
          );
        const nodes = [...view.nodes.keys()].filter((nodeId) => !isOutOfReach(desk, nodeId));
        return { ...inOneAnswer(parts.slice(from)), nodes: nodes.slice(0, viewLimits.recallLivesMax) };
      }),
  };
}

function inOneAnswer(parts: readonly FactReplay[]): AnswerOf<"plane.recall"> {
  let bytes = 0;
  const fitting = parts.filter((part, index) => {
    bytes += JSON.stringify(part).length;
    return index === 0 || bytes <= controlPlaneLimits.pieceBytes;
  });
  return { parts: fitting, isLast: fitting.length === parts.length };
}

function keyOf({ nodeId, epoch, seq }: Life): string {
  return `${nodeId} ${epoch} ${seq}`;
}
