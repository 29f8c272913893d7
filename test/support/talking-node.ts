import { serve } from "../../src/bus/serve.ts";
import type { Bus } from "../../src/bus/bus.ts";
import type { Chance } from "../../src/chance.ts";
import type { Clock } from "../../src/clock.ts";
import { createSpeaker, type Speaker } from "../../src/lattice/speaker.ts";
import { nodeLimits } from "../../src/limits.ts";
import { filterFor } from "../../src/protocol/addresses.ts";

/** What of a node the network takes away. */
export interface Losses {
  /** Share of the facts, heartbeats and replays that are lost, 0 to 1. */
  said: number;
  /** Share of the questions to it that are lost. */
  asked: number;
  chance: Chance;
}

/** A node as those who watch see it: it says facts, beats, and tells all again when asked. */
export interface TalkingNode {
  readonly speaker: Speaker;
  /** When it was asked to tell again, by a question of its own or by a broadcast; ms of the clock. */
  readonly asked: number[];
  readonly askedByBroadcast: number[];
  stop(): void;
}

/** A node that has joined, on that bus. */
export function talkingNode(world: {
  bus: Bus;
  clock: Clock;
  nodeId: string;
  losses?: Losses;
  beats?: boolean;
}): TalkingNode {
  const { bus, clock, nodeId, losses, beats = true } = world;
  const asked: number[] = [];
  const askedByBroadcast: number[] = [];
  const isLost = (share: "said" | "asked") => losses !== undefined && losses.chance() < losses[share];
  const speaker = createSpeaker({
    lattice: "default",
    nodeId,
    clock,
    publish(subject, data) {
      if (!isLost("said")) bus.publish(subject, data);
    },
  });
  const subscriptions = [
    serve(bus, clock, "node.fact.replay", { lattice: "default", node: nodeId }, () => {
      asked.push(clock.now());
      return isLost("asked") ? { epoch: speaker.epoch, seq: 0 } : speaker.tellAll();
    }),
    bus.subscribe(filterFor("nodes.replay", { lattice: "default" }), () => {
      askedByBroadcast.push(clock.now());
      if (!isLost("asked")) speaker.tellAll();
    }),
  ];
  let beat: unknown;
  const beatOn = () => {
    beat = clock.setTimeout(() => {
      speaker.heartbeat({ instances: speaker.own().instances.size });
      beatOn();
    }, nodeLimits.heartbeatMs);
  };
  if (beats) beatOn();
  speaker.state("node.joined", {
    productVersion: "0",
    protocolVersion: "1.0",
    hostname: "h",
    pid: 1,
    labels: {},
    guestKinds: ["wapc"],
    instancesMax: 9,
  });
  return {
    speaker,
    asked,
    askedByBroadcast,
    stop() {
      clock.clearTimeout(beat);
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}
