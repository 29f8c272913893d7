import type { Clock } from "../clock.ts";
import { subjectFor } from "../protocol/addresses.ts";
import { encode } from "../protocol/codec.ts";
import type { Fact, FactData, FactKind } from "../protocol/facts.ts";
import { applyFact } from "./apply-fact.ts";
import { digestText } from "./digest.ts";
import { replayOf } from "./tell-again.ts";
import { createNodeView, createView, type NodeView } from "./view.ts";

/** The one voice of a node: numbers its facts without gaps, and knows what they add up to. */
export interface Speaker {
  readonly lattice: string;
  readonly nodeId: string;
  /** This life's start, ms since 1970. */
  readonly epoch: number;
  /** What the facts stated so far add up to; the node's own table of instances and providers. */
  own(): NodeView;
  /** States that something happened. It is on record here even when the bus is gone. */
  state<Kind extends FactKind>(kind: Kind, data: FactData<Kind>, cause?: string): void;
  /** Says "I am here", the last seq and the digest of the instance table. */
  heartbeat(load: FactData<"node.heartbeat">["load"]): void;
  /** Tells the present facts again, in parts, before anything else is stated. */
  tellAll(): { epoch: number; seq: number };
  /** Calls back with each fact stated; for whoever shows them locally. */
  onFact(listener: (fact: Fact) => void): () => void;
}

/** What a speaker needs of the world. */
export interface SpeakerOptions {
  lattice: string;
  nodeId: string;
  clock: Clock;
  /** Puts bytes on the bus. What is lost while the bus is away is asked for again by those who miss it. */
  publish: (subject: string, data: Uint8Array) => void;
}

/** A node begins to speak: a new epoch, seq 0. */
export function createSpeaker({ lattice, nodeId, clock, publish }: SpeakerOptions): Speaker {
  const epoch = clock.now();
  const view = createView(lattice);
  view.nodes.set(nodeId, createNodeView(nodeId, epoch, epoch));
  const own = () => view.nodes.get(nodeId) as NodeView;
  const listeners = new Set<(fact: Fact) => void>();
  let seq = 0;
  let replays = 0;

  const now = () => new Date(clock.now()).toISOString();
  const send = (fact: Fact) => {
    const [noun, verb] = fact.kind.split(".") as [string, string];
    publish(subjectFor("fact", { lattice, node: nodeId, noun, verb }), encode(fact, "json"));
  };

  return {
    lattice,
    nodeId,
    epoch,
    own,
    state(kind, data, cause) {
      seq += 1;
      const fact = {
        lattice,
        node: nodeId,
        epoch,
        seq,
        at: now(),
        kind,
        ...(cause === undefined ? {} : { cause }),
        data,
      } as Fact;
      applyFact(view, fact, clock.now());
      send(fact);
      for (const listener of listeners) listener(fact);
    },
    heartbeat(load) {
      const data = { digest: digestText(own().digest), load };
      send({ lattice, node: nodeId, epoch, seq, at: now(), kind: "node.heartbeat", data });
    },
    tellAll() {
      replays += 1;
      const subject = subjectFor("fact.replay", { lattice, node: nodeId });
      for (const part of replayOf(own(), { lattice, at: now(), replayId: `${epoch}-${replays}` }))
        publish(subject, encode(part, "json"));
      return { epoch, seq };
    },
    onFact(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
