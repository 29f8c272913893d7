import type { Chance } from "../../src/chance.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import type { Fate, Host, Message } from "./simulated-network.ts";
import { lattice, type SimulatedWorld } from "./simulated-world.ts";

/** What can happen to single messages; `repeat` is what befalls questions alone. */
export type Disturbance = "loss" | "late" | "twice" | "repeat" | "shuffle" | "garble";

interface Window {
  readonly kind: Disturbance;
  /** Whose messages are hit: those to it, those from it, or both. */
  readonly host: Host;
  readonly direction: "to" | "from" | "both";
  readonly share: number;
  readonly spreadMs: number;
  readonly until: number;
}

/** The disturbances of the moment. */
export interface Windows {
  open(kind: Disturbance, host: Host | undefined, forMs: number, chance: Chance): string | undefined;
  closeAll(): void;
}

/** As late as a message ever was, measured with a frozen server, and some. */
const latestMs = 10_000;

/** No disturbances; opening one makes the network ask for the fate of each message. */
export function createWindows(world: SimulatedWorld): Windows {
  const { network, queue } = world;
  const chance = world.chance("disturbances");
  let windows: Window[] = [];

  function isHit({ host, direction }: Window, from: Host, to: Host): boolean {
    if (direction === "to") return to === host;
    return direction === "from" ? from === host : from === host || to === host;
  }

  function disturb(from: Host, to: Host, message: Message): Fate | undefined {
    if (windows.some(({ until }) => until <= queue.now)) close();
    for (const window of windows) {
      if (!isHit(window, from, to) || chance() >= window.share) continue;
      const lateMs = chance() * window.spreadMs;
      switch (window.kind) {
        case "loss":
          return { lateMs: [] };
        case "late":
        case "shuffle":
          return { lateMs: [lateMs] };
        case "twice":
          return { lateMs: [0, lateMs] };
        case "repeat":
          return message.replyTo === undefined ? undefined : { lateMs: [0, lateMs] };
        case "garble":
          return to === window.host ? garble(message, to) : undefined;
      }
    }
    return undefined;
  }

  /** To one listener it says something else, as if that one had a bug: only the digest can tell. */
  function garble(message: Message, to: Host): Fate | undefined {
    const fact = message.said as Fact | undefined;
    if (fact?.kind !== "instance.running" && fact?.kind !== "instance.stopped") return undefined;
    const { instanceId } = fact.data;
    const other = { ...fact, kind: "instance.yielding", data: { instanceId } } as Fact;
    const [noun, verb] = other.kind.split(".") as [string, string];
    world.observe({ type: "garbled", host: to.id, node: fact.node, seq: fact.seq, instanceId });
    const subject = subjectFor("fact", { lattice, node: fact.node, noun, verb });
    return { lateMs: [0], message: { ...message, subject, data: encode(other, "json"), said: other } };
  }

  function close(): void {
    windows = windows.filter(({ until }) => until > queue.now);
    network.disturb = windows.length === 0 ? undefined : disturb;
  }

  return {
    open(kind, host, forMs, drawn) {
      if (host === undefined) return undefined;
      const way = drawn();
      const hitsMostTo = kind === "garble" || kind === "repeat";
      const direction = hitsMostTo || way < 0.4 ? "to" : way < 0.8 ? "from" : "both";
      const few = 0.05 + drawn() ** 2 * 0.6;
      const share = hitsMostTo ? 0.8 : kind === "twice" ? few + 0.3 : few;
      const spreadMs = kind === "shuffle" ? 5 + drawn() * 300 : drawn() * latestMs;
      windows.push({ kind, host, direction, share, spreadMs, until: queue.now + forMs });
      network.disturb = disturb;
      return `${host.id} ${direction} ${Math.round(share * 100)} %`;
    },
    closeAll() {
      windows = [];
      network.disturb = undefined;
    },
  };
}
