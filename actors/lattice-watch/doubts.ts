import { ask } from "../../src/bus/ask.ts";
import type { Bus } from "../../src/bus/bus.ts";
import type { Clock, Timer } from "../../src/clock.ts";
import type { Doubt, LatticeView } from "../../src/lattice/view.ts";
import { watchLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";

/** What is asked of nodes that the view doubts. */
export interface Doubts {
  /** Asks that node to tell its facts again, unless it is being asked already. */
  raise(doubt: Doubt): void;
  /** A broadcast has just asked every node: wait for its answers before asking one by one. */
  everybodyWasAsked(): void;
  /** Asks nothing any more. */
  end(): void;
}

interface Question {
  tries: number;
  timer: Timer;
}

/** Asks doubted nodes, one question per node at a time, with growing pauses, until the view doubts no more. */
export function createDoubts(world: {
  lattice: string;
  bus: Bus;
  clock: Clock;
  log: Log;
  view: LatticeView;
}): Doubts {
  const { lattice, bus, clock, log, view } = world;
  const questions = new Map<string, Question>();
  let quietUntil = 0;

  function askLater(nodeId: string, tries: number, ms: number): void {
    questions.set(nodeId, { tries, timer: clock.setTimeout(() => askNow(nodeId, tries), ms) });
  }

  function askNow(nodeId: string, tries: number): void {
    // A node that never answers is left alone until it says something again, which raises the doubt anew.
    if (view.nodes.get(nodeId)?.knowledge !== "gap" || tries >= watchLimits.replayTriesMax) {
      questions.delete(nodeId);
      return;
    }
    const pause = Math.min(watchLimits.replayRetryMs * 2 ** tries, watchLimits.replayRetryMsMax);
    askLater(nodeId, tries + 1, pause);
    const timeoutMs = watchLimits.replayRequestTimeoutMs;
    ask(
      bus,
      "node.fact.replay",
      { lattice, node: nodeId },
      { reason: "something is missing" },
      { timeoutMs },
    ).catch((error: unknown) =>
      log.debug({ node: nodeId, reason: String(error) }, "a doubted node did not answer"),
    );
  }

  return {
    raise({ nodeId }) {
      if (questions.has(nodeId)) return;
      const wait = quietUntil - clock.now();
      if (wait > 0) askLater(nodeId, 0, wait);
      else askNow(nodeId, 0);
    },
    everybodyWasAsked() {
      quietUntil = clock.now() + watchLimits.replayBroadcastQuietMs;
    },
    end() {
      for (const { timer } of questions.values()) clock.clearTimeout(timer);
      questions.clear();
    },
  };
}
