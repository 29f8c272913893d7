import type { Fact, FactReplay } from "../../src/protocol/facts.ts";
import type { Observation } from "./observations.ts";

/** What one process can know of one node, from what was handed to it. */
export interface Heard {
  epoch: number;
  /** Everything up to this fact was heard, as long as there is no gap. */
  seq: number;
  isGap: boolean;
  /** Facts after the gap that wait for a replay. */
  early: number[];
  /** True time of the latest fact of this life, heartbeats included. */
  at: number;
}

/** The numbering of facts once more, without what they say: who has heard what, to hold views against. */
export interface Hearing {
  of(host: string, node: string): Heard | undefined;
  nodesOf(host: string): ReadonlyMap<string, Heard>;
  see(observation: Observation): void;
}

interface Parts {
  readonly replayId: string;
  readonly indices: Set<number>;
}

/** Follows the deliveries of every process that listens. */
export function followHearing(now: () => number): Hearing {
  const all = new Map<string, Map<string, Heard>>();
  const parts = new Map<string, Parts>();

  function hearFact(known: Map<string, Heard>, fact: Fact): void {
    const heard = known.get(fact.node);
    if (heard !== undefined && fact.epoch < heard.epoch) return;
    if (heard === undefined || fact.epoch > heard.epoch) {
      const isFirst = fact.kind === "node.joined" && fact.seq === 1;
      const isEarly = !isFirst && fact.kind !== "node.heartbeat";
      known.set(fact.node, {
        epoch: fact.epoch,
        seq: isFirst ? 1 : 0,
        isGap: !isFirst,
        early: isEarly ? [fact.seq] : [],
        at: now(),
      });
      return;
    }
    heard.at = now();
    if (heard.isGap) {
      if (fact.kind !== "node.heartbeat") heard.early.push(fact.seq);
    } else inOrder(heard, fact.seq, fact.kind === "node.heartbeat");
  }

  function inOrder(heard: Heard, seq: number, isHeartbeat: boolean): void {
    if (seq <= heard.seq) return;
    if (!isHeartbeat && seq === heard.seq + 1) {
      heard.seq = seq;
      return;
    }
    heard.isGap = true;
    if (!isHeartbeat) heard.early.push(seq);
  }

  function hearReplay(host: string, known: Map<string, Heard>, replay: FactReplay): void {
    const heard = known.get(replay.node);
    if (heard !== undefined && replay.epoch < heard.epoch) return;
    if (heard !== undefined && replay.epoch === heard.epoch) {
      heard.at = now();
      if (heard.isGap ? replay.seq < heard.seq : replay.seq <= heard.seq) return;
    }
    const key = `${host} ${replay.node}`;
    let partial = parts.get(key);
    if (partial?.replayId !== replay.replayId) {
      partial = { replayId: replay.replayId, indices: new Set() };
      parts.set(key, partial);
    }
    partial.indices.add(replay.index);
    if (partial.indices.size < replay.count) return;
    parts.delete(key);
    const early = heard?.epoch === replay.epoch ? heard.early : [];
    const next: Heard = { epoch: replay.epoch, seq: replay.seq, isGap: false, early: [], at: now() };
    known.set(replay.node, next);
    for (const seq of early.toSorted((one, other) => one - other)) {
      if (next.isGap) next.early.push(seq);
      else inOrder(next, seq, false);
    }
  }

  return {
    of: (host, node) => all.get(host)?.get(node),
    nodesOf: (host) => all.get(host) ?? new Map(),
    see(observation) {
      if (observation.type === "began") all.set(observation.host, new Map());
      if (observation.type === "ended") all.delete(observation.host);
      if (observation.type !== "heard") return;
      const { host, said } = observation;
      const known = all.get(host);
      if (known === undefined) return;
      if (said.kind === "node.replay") hearReplay(host, known, said);
      else hearFact(known, said);
    },
  };
}
