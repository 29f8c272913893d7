import type { Chance } from "../../src/chance.ts";
import type { Member } from "./members.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/** How both ends of a connection learn that it is gone, and when it is back. */
export interface Connections {
  /** One of its ways is cut: unless it is mended soon, the pings of both ends find out. */
  cut(member: Member): void;
  /** Both ways are open: what was held comes now, and a lost connection is made again. */
  mend(member: Member): void;
  /** Its process is frozen; the server gives it up where it notices. */
  paused(member: Member, serverNotices: boolean): void;
  /** The server of a site freezes. */
  freeze(site: number, forMs: number): string;
  thawAll(): void;
}

/** Two pings of a second each, unanswered. */
const noticeMs = [2_000, 3_100] as const;

/** Keeps the connections of all members. */
export function createConnections(world: SimulatedWorld, members: readonly Member[]): Connections {
  const { queue, network } = world;
  const chance: Chance = world.chance("connections");
  const between = ([low, high]: readonly [number, number]) => low + chance() * (high - low);
  const cuts = new Map<string, number>();

  const isFrozen = ({ host }: Member) => (network.frozen.get(host.site) ?? 0) > queue.now;
  const isThrough = (member: Member) => !member.host.cutUp && !member.host.cutDown && !isFrozen(member);

  /** Both ends give the connection up. */
  function lose(member: Member): void {
    const { host } = member;
    const { process } = host;
    // It is lost already, and being made again.
    if ([...host.ends].every(({ connection }) => !connection.atServer)) return;
    for (const one of host.ends) one.drop();
    process.run(() => {
      world.observe({ type: "bus.lost", host: member.id });
      for (const one of host.ends) one.lose();
    });
    queue.at(queue.now + between([100, 200]), () => tryAgain(member, process));
  }

  function tryAgain(member: Member, process: Member["host"]["process"]): void {
    if (!process.isAlive || member.host.process !== process) return;
    if (!isThrough(member) || process.isPaused) {
      queue.at(queue.now + between([100, 200]), () => tryAgain(member, process));
      return;
    }
    process.run(() => {
      for (const one of member.host.ends) one.regain();
      world.observe({ type: "bus.regained", host: member.id });
    });
  }

  function release(member: Member): void {
    for (const { connection } of member.host.ends) {
      for (const arrive of [...connection.heldUp.splice(0), ...connection.heldDown.splice(0)]) arrive();
    }
  }

  return {
    cut(member) {
      const cutNumber = (cuts.get(member.id) ?? 0) + 1;
      cuts.set(member.id, cutNumber);
      const { process } = member.host;
      queue.at(queue.now + between(noticeMs), () => {
        const isSame = cuts.get(member.id) === cutNumber && member.host.process === process;
        if (isSame && process.isAlive && !isThrough(member)) lose(member);
      });
    },
    mend(member) {
      cuts.set(member.id, (cuts.get(member.id) ?? 0) + 1);
      member.host.cutUp = false;
      member.host.cutDown = false;
      if (member.isAlive) release(member);
    },
    paused(member, serverNotices) {
      const { process } = member.host;
      if (!serverNotices) return;
      queue.at(queue.now + between(noticeMs), () => {
        if (process.isAlive && process.isPaused && member.host.process === process) lose(member);
      });
    },
    freeze(site, forMs) {
      const thaw = queue.now + forMs;
      network.frozen.set(site, thaw);
      const there = members.filter((member) => member.isAlive && member.host.site === site);
      for (const member of there) {
        const { process } = member.host;
        queue.at(queue.now + between(noticeMs), () => {
          const isStill = network.frozen.get(site) === thaw && isFrozen(member);
          if (isStill && process.isAlive && member.host.process === process) lose(member);
        });
      }
      return `site-${site}`;
    },
    thawAll: () => network.frozen.clear(),
  };
}
