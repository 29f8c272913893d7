import type { Connections } from "./connections.ts";
import type { Member } from "./members.ts";
import type { SimulatedWorld } from "./simulated-world.ts";
import { createWindows, type Windows } from "./disturbances.ts";

/** What can befall a lattice, and the end of all of it. */
export interface Faults {
  /** How many of each kind were made. */
  readonly counts: ReadonlyMap<string, number>;
  /** Makes that many faults between the two moments, of kinds and at times that the seed draws. */
  schedule(count: number, from: number, until: number): void;
  /** Mends everything: what was cut, paused, slow or dead is as it was, and what is late comes at once. */
  heal(): void;
}

interface Deed {
  readonly weight: number;
  /** Returns what it is about, or undefined where there is nothing to hurt; `forMs` is how long it lasts. */
  readonly make: (forMs: number) => string | undefined;
  readonly longestMs: number;
  /** 0.2 s where nothing is said. */
  readonly shortestMs?: number;
}

/** Some client commands something within that. */
const amidWithinMs = 5_000;

/** Draws and makes the faults of a seed. */
export function createFaults(
  world: SimulatedWorld,
  members: readonly Member[],
  connections: Connections,
): Faults {
  const chance = world.chance("faults");
  const { queue, network } = world;
  const counts = new Map<string, number>();
  const windows = createWindows(world);
  const parts = members.filter(({ kind }) => kind !== "client");
  const nodes = parts.filter(({ kind }) => kind === "node");
  const planes = parts.filter(({ kind }) => kind === "control-plane");
  let isHealed = false;

  const one = (those: readonly Member[]): Member | undefined => {
    const able = those.filter((member) => member.isAlive && !member.host.process.isPaused);
    return able[Math.floor(chance() * able.length)];
  };
  const later = (ms: number, undo: () => void) =>
    queue.at(queue.now + ms, () => {
      if (!isHealed) undo();
    });

  function kill(member: Member | undefined, forMs: number): string | undefined {
    if (member === undefined) return undefined;
    member.kill();
    later(forMs, () => revive(member));
    return member.id;
  }

  function pause(member: Member | undefined, forMs: number): string | undefined {
    if (member === undefined) return undefined;
    member.host.process.pause();
    world.observe({ type: "paused", host: member.id });
    connections.paused(member, chance() < 0.5);
    later(forMs, () => resume(world, member));
    return member.id;
  }

  function cut(member: Member | undefined, forMs: number): string | undefined {
    if (member === undefined) return undefined;
    const { host } = member;
    const way = chance();
    if (way < 0.7) host.cutUp = true;
    if (way > 0.35) host.cutDown = true;
    connections.cut(member);
    later(forMs, () => connections.mend(member));
    return `${member.id}${host.cutUp ? " up" : ""}${host.cutDown ? " down" : ""}`;
  }

  function split(forMs: number): string {
    const isOneWay = chance() < 0.4;
    const routes = isOneWay ? [chance() < 0.5 ? "0-1" : "1-0"] : ["0-1", "1-0"];
    for (const route of routes) network.brokenRoutes.set(route, queue.now);
    later(forMs, () => routes.forEach((route) => network.brokenRoutes.delete(route)));
    return routes.join(" ");
  }

  function slow(member: Member | undefined, forMs: number): string | undefined {
    if (member === undefined) return undefined;
    member.host.slowMs = 20 + chance() * 600;
    later(forMs, () => (member.host.slowMs = 0));
    return member.id;
  }

  /** Guests crash again and again for a while, often enough that some are given up. */
  function crashes(member: Member | undefined, forMs: number): string | undefined {
    const ids = [...(member?.engines?.guests.keys() ?? [])];
    const id = ids[Math.floor(chance() * ids.length)];
    if (member === undefined || id === undefined) return undefined;
    const times = 1 + Math.floor(chance() ** 3 * 24);
    for (let turn = 0; turn < times; turn += 1)
      queue.at(queue.now + (turn * Math.min(forMs, 6_000) * (0.5 + chance())) / times, () =>
        member.host.process.run(() => member.engines?.crash(id)),
      );
    return `${member.id} ${id} ${times}`;
  }

  /** Until when whoever has just had a node do something dies before it hears of it, and for how long. */
  let amid: { readonly until: number; readonly forMs: number } | undefined;
  let lastToCommand: Member | undefined;
  world.onObservation(["message"], (seen) => {
    if (seen.type !== "message" || !seen.subject.startsWith("wasmatrix.node.")) return;
    lastToCommand = planes.find(({ id }) => id === seen.host) ?? lastToCommand;
  });
  world.onObservation(["stated"], (seen) => {
    if (amid === undefined || seen.type !== "stated" || seen.fact.cause === undefined) return;
    const { until, forMs } = amid;
    amid = undefined;
    if (queue.now > until || isHealed) return;
    queue.at(queue.now, () => {
      if (lastToCommand?.isAlive === true && !lastToCommand.host.process.isPaused) kill(lastToCommand, forMs);
    });
  });

  const deeds: Record<string, Deed> = {
    "kill-node": { weight: 6, longestMs: 15_000, make: (ms) => kill(one(nodes), ms) },
    "kill-provider": {
      weight: 1,
      longestMs: 6_000,
      make: (ms) => kill(one(parts.filter(({ kind }) => kind === "provider")), ms),
    },
    "kill-control-plane": { weight: 3, longestMs: 8_000, make: (ms) => kill(one(planes), ms) },
    "kill-all-control-planes": {
      weight: 0.6,
      longestMs: 4_000,
      make: (ms) => planes.map((plane) => (plane.isAlive ? kill(plane, ms) : undefined)).join(" "),
    },
    /** What it asked for is done, and whoever asked it cannot be told. */
    "kill-amid-command": {
      weight: 5,
      longestMs: 6_000,
      make(forMs) {
        amid = { until: queue.now + amidWithinMs, forMs };
        return "whoever commands next";
      },
    },
    leave: {
      weight: 1.5,
      longestMs: 20_000,
      make(ms) {
        const member = one([...nodes, ...planes]);
        member?.leave();
        if (member !== undefined) later(ms, () => revive(member));
        return member?.id;
      },
    },
    /** What its former life said comes after the first words of the next one. */
    "late-then-kill": {
      weight: 3,
      longestMs: 3_000,
      make(ms) {
        const member = one(nodes);
        const isOpen = windows.open("late", member?.host, 1_500 + ms, () => 0.75);
        if (member === undefined || isOpen === undefined) return undefined;
        later(1_500, () => {
          if (member.isAlive && !member.host.process.isPaused) kill(member, 300);
        });
        return member.id;
      },
    },
    pause: { weight: 5, longestMs: 15_000, make: (ms) => pause(one(parts), ms) },
    cut: { weight: 6, longestMs: 15_000, make: (ms) => cut(one(parts), ms) },
    /** Long enough for it to take its own silence for that of the nodes. */
    "cut-control-plane": {
      weight: 5,
      shortestMs: 8_000,
      longestMs: 13_000,
      make: (ms) => cut(one(planes), ms),
    },
    /** Long enough for what it runs to be started elsewhere, and stopped there. */
    "cut-node": { weight: 3, shortestMs: 8_000, longestMs: 16_000, make: (ms) => cut(one(nodes), ms) },
    split: { weight: 3, longestMs: 12_000, make: split },
    freeze: {
      weight: 1.5,
      longestMs: 6_000,
      make: (ms) => connections.freeze(chance() < 0.7 ? 0 : 1, ms),
    },
    loss: { weight: 4, longestMs: 10_000, make: (ms) => windows.open("loss", one(parts)?.host, ms, chance) },
    late: { weight: 4, longestMs: 10_000, make: (ms) => windows.open("late", one(parts)?.host, ms, chance) },
    twice: {
      weight: 3,
      longestMs: 10_000,
      make: (ms) => windows.open("twice", one(parts)?.host, ms, chance),
    },
    /** Whoever asks it sends everything once more, some time later. */
    repeat: {
      weight: 4,
      longestMs: 10_000,
      make: (ms) => windows.open("repeat", one([...nodes, ...planes])?.host, ms, chance),
    },
    shuffle: {
      weight: 3,
      longestMs: 10_000,
      make: (ms) => windows.open("shuffle", one(parts)?.host, ms, chance),
    },
    garble: {
      weight: 2.5,
      longestMs: 8_000,
      make: (ms) => windows.open("garble", one(planes)?.host, ms, chance),
    },
    slow: { weight: 3, longestMs: 15_000, make: (ms) => slow(one(nodes), ms) },
    "clock-step": {
      weight: 1,
      longestMs: 1,
      make() {
        const member = one(parts);
        if (member !== undefined) member.clockError.offsetMs += Math.floor(chance() * 3_000);
        return member?.id;
      },
    },
    "engine-abort": {
      weight: 3,
      longestMs: 1,
      make() {
        const member = one(nodes);
        member?.host.process.run(() => member.engines?.abort());
        return member?.id;
      },
    },
    "cell-lost": {
      weight: 2,
      longestMs: 1,
      make() {
        const member = one(nodes);
        const [blamed] = member?.engines?.guests.keys() ?? [];
        member?.host.process.run(() => member.engines?.loseCell(blamed));
        return member?.id;
      },
    },
    crashes: { weight: 8, longestMs: 6_000, make: (ms) => crashes(one(nodes), ms) },
  };
  const total = Object.values(deeds).reduce((sum, { weight }) => sum + weight, 0);

  function makeOne(): void {
    if (isHealed) return;
    let left = chance() * total;
    const drawn = Object.entries(deeds).find(([, { weight }]) => (left -= weight) < 0);
    if (drawn === undefined) return;
    const [kind, { shortestMs = 200, longestMs, make }] = drawn;
    const forMs = shortestMs + chance() ** 1.5 * Math.max(0, longestMs - shortestMs);
    const about = make(forMs);
    if (about === undefined) return;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    world.trace.note(`fault ${kind} ${about} ${Math.round(forMs)}`);
    world.observe({ type: "fault", kind, about, forMs });
  }

  return {
    counts,
    schedule(count, from, until) {
      for (let index = 0; index < count; index += 1) queue.at(from + chance() * (until - from), makeOne);
    },
    heal() {
      isHealed = true;
      healAll(world, members, connections, windows);
    },
  };
}

function healAll(
  world: SimulatedWorld,
  members: readonly Member[],
  connections: Connections,
  windows: Windows,
): void {
  windows.closeAll();
  world.network.brokenRoutes.clear();
  connections.thawAll();
  for (const member of members) {
    member.host.slowMs = 0;
    resume(world, member);
    connections.mend(member);
    revive(member);
  }
  world.trace.note("healed");
}

function revive(member: Member): void {
  member.host.slowMs = 0;
  member.host.cutUp = false;
  member.host.cutDown = false;
  if (!member.isAlive) member.begin();
}

function resume(world: SimulatedWorld, member: Member): void {
  if (!member.host.process.isPaused) return;
  member.host.process.resume();
  world.observe({ type: "resumed", host: member.id });
}
