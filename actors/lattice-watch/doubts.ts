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
  /** That node has told everything: a doubt from here on is a new one, and does not inherit long pauses. */
  answered(nodeId: string): void;
  /** A broadcast has just asked every node: wait for its answers before asking one by one. */
  everybodyWasAsked(): void;
  /** Asks nothing any more. */
  end(): void;
}

interface Question {
  /** When it was last put, ms since 1970; undefined while it still waits for its first time. */
  askedAt: number | undefined;
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

  function askLater(nodeId: string, tries: number, ms: number, askedAt?: number): void {
    questions.set(nodeId, { askedAt, timer: clock.setTimeout(() => askNow(nodeId, tries), ms) });
  }

  function askNow(nodeId: string, tries: number): void {
    // A node that never answers is left alone until it says something again, which raises the doubt anew.
    if (view.nodes.get(nodeId)?.knowledge !== "gap" || tries >= watchLimits.replayTriesMax) {
      questions.delete(nodeId);
      return;
    }
    const pause = Math.min(watchLimits.replayRetryMs * 2 ** tries, watchLimits.replayRetryMsMax);
    askLater(nodeId, tries + 1, pause, clock.now());
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
    answered(nodeId) {
      const question = questions.get(nodeId);
      if (question?.askedAt === undefined) return;
      clock.clearTimeout(question.timer);
      // Not forgotten at once: a link that goes on losing facts would be answered with a replay for each of them.
      const pause = Math.max(0, question.askedAt + watchLimits.replayRetryMs - clock.now());
      askLater(nodeId, 0, pause, question.askedAt);
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
