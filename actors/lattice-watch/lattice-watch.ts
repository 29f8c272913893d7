import type { Bus, BusMessage, Subscription } from "../../src/bus/bus.ts";
import { validate } from "../../src/bus/serve.ts";
import type { Clock } from "../../src/clock.ts";
import { applyFact, applyReplay } from "../../src/lattice/apply-fact.ts";
import { createView, type Doubt, type LatticeView } from "../../src/lattice/view.ts";
import type { Log } from "../../src/log.ts";
import { filterFor, parametersOf, subjectFor } from "../../src/protocol/addresses.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Fact, FactReplay } from "../../src/protocol/facts.ts";
import { createDoubts } from "./doubts.ts";

/** What a watch needs of the world. */
export interface LatticeWatchOptions {
  lattice: string;
  bus: Bus;
  clock: Clock;
  log: Log;
  /** Which facts `onFact` tells of; all without it. The view takes every fact, for a skipped one would be a gap. */
  only?: (fact: Fact) => boolean;
}

/** A view of the lattice that keeps itself true: it listens, doubts, and asks. */
export interface LatticeWatch {
  readonly view: LatticeView;
  /** When the last whole or partial replay of any node was heard, ms since 1970; undefined before the first. */
  readonly heardReplayAt: number | undefined;
  /** When every node was last asked to tell its facts again, ms since 1970; undefined before the first time. */
  readonly askedReplayAt: number | undefined;
  /** Subscribes, and asks every node for its present facts. */
  start(): void;
  /** Unsubscribes and ends every question; the view stays as it is. */
  stop(): void;
  /** Asks every node for its present facts. */
  askAll(reason: string): void;
  /** Calls back with each live fact, after the view took it, heartbeats included; not with replayed ones. */
  onFact(listener: (fact: Fact) => void): () => void;
  /** Calls back with the node whose part of the view a fact or a replay may have changed. */
  onChange(listener: (nodeId: string) => void): () => void;
  /** Calls back with each node that has told a part of its present facts again, after the view took it. */
  onReplay(listener: (nodeId: string) => void): () => void;
  /** Calls back with each doubt, before the node is asked. */
  onDoubt(listener: (doubt: Doubt) => void): () => void;
}

/**
 * Watches a lattice through the bus. Facts that are malformed, or that speak for another node than the one
 * their subject names, are logged and left out.
 */
export function createLatticeWatch({ lattice, bus, clock, log, only }: LatticeWatchOptions): LatticeWatch {
  const view = createView(lattice);
  const factListeners = new Set<(fact: Fact) => void>();
  const changeListeners = new Set<(nodeId: string) => void>();
  const replayListeners = new Set<(nodeId: string) => void>();
  const doubtListeners = new Set<(doubt: Doubt) => void>();
  const doubts = createDoubts({ lattice, bus, clock, log, view });
  let subscription: Subscription | undefined;
  let forgetStatus: (() => void) | undefined;
  let heardReplayAt: number | undefined;
  let askedReplayAt: number | undefined;

  function hear(message: BusMessage): void {
    const { node, noun, verb } = parametersOf("fact", message.subject);
    try {
      const said = readSaying(message, `${noun}.${verb}`);
      if (said.node !== node || said.lattice !== lattice || said.kind !== `${noun}.${verb}`) {
        log.warn(
          { subject: message.subject, node: said.node, kind: said.kind },
          "a fact that is not its speaker's own",
        );
        return;
      }
      take(said);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.warn({ subject: message.subject, reason: error.message }, "a malformed fact");
    }
  }

  function take(said: Fact | FactReplay): void {
    const replayed = said.kind === "node.replay";
    if (replayed) heardReplayAt = clock.now();
    const doubt = replayed ? applyReplay(view, said, clock.now()) : applyFact(view, said, clock.now());
    if (replayed && view.nodes.get(said.node)?.knowledge === "complete") doubts.answered(said.node);
    if (doubt !== undefined) {
      for (const listener of doubtListeners) listener(doubt);
      doubts.raise(doubt);
    }
    if (!replayed && (only === undefined || only(said))) for (const listener of factListeners) listener(said);
    for (const listener of changeListeners) listener(said.node);
    if (replayed) for (const listener of replayListeners) listener(said.node);
  }

  function askAll(reason: string): void {
    askedReplayAt = clock.now();
    doubts.everybodyWasAsked();
    try {
      bus.publish(subjectFor("nodes.replay", { lattice }), encode({ reason }, "msgpack"));
    } catch (error) {
      // While the bus is away nobody would hear it; the reconnect asks again.
      log.debug({ reason: String(error) }, "could not ask for a replay");
    }
  }

  return {
    view,
    get heardReplayAt() {
      return heardReplayAt;
    },
    get askedReplayAt() {
      return askedReplayAt;
    },
    start() {
      if (subscription !== undefined) return;
      // The row `fact.replay` is within this filter: one subscription keeps the order of facts and replays.
      subscription = bus.subscribe(filterFor("fact", { lattice }), hear);
      forgetStatus = bus.onStatus((status) => {
        if (status.type === "reconnected") askAll("the bus was away");
      });
      askAll("a watch begins");
    },
    stop() {
      subscription?.unsubscribe();
      subscription = undefined;
      forgetStatus?.();
      doubts.end();
    },
    askAll,
    onFact: (listener) => listen(factListeners, listener),
    onChange: (listener) => listen(changeListeners, listener),
    onReplay: (listener) => listen(replayListeners, listener),
    onDoubt: (listener) => listen(doubtListeners, listener),
  };
}

function readSaying(message: BusMessage, kind: string): Fact | FactReplay {
  const { value } = decode(message.data);
  return kind === "node.replay"
    ? (validate("fact.replay", value) as FactReplay)
    : (validate("fact", value) as Fact);
}

function listen<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
