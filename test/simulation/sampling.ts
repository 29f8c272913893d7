import type { Hearing } from "./hearing.ts";
import type { Member } from "./members.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/** Asks control planes what they know, and lets guests call, again and again. */
export interface Sampler {
  stopCalls(): void;
  stop(): void;
}

/** Each control plane is asked about that often. */
const askEveryMs = 3_000;

/** Somewhere a guest calls its provider about that often. */
const callEveryMs = 400;

/** Of a node that comes back. */
const callsAtOnce = 6;

/** A control plane that is back on the bus has asked everybody, heard the answers and let them settle by then. */
export const wholeAgainMs = 1_000;

/** Begins to look; also at once when a control plane is handed something old, which must change nothing. */
export function beginSampling(world: SimulatedWorld, members: readonly Member[], hearing: Hearing): Sampler {
  const chance = world.chance("sampling");
  const { queue } = world;
  let isOver = false;
  let callsAreOver = false;

  function ask(member: Member): void {
    if (!member.isAlive || member.host.process.isPaused) return;
    void member.tell(false).then((view) => {
      if (view !== undefined && !isOver) world.observe({ type: "told", host: member.id, view });
    });
  }

  function askAgain(member: Member): void {
    if (isOver) return;
    ask(member);
    queue.at(queue.now + askEveryMs * (0.5 + chance()), () => askAgain(member));
  }

  function callAgain(nodes: readonly Member[]): void {
    if (callsAreOver) return;
    const member = nodes[Math.floor(chance() * nodes.length)];
    const ids = [...(member?.engines?.guests.keys() ?? [])];
    const id = ids[Math.floor(chance() * ids.length)];
    if (id !== undefined && member?.isAlive === true)
      member.host.process.run(() => member.engines?.callOut(id));
    queue.at(queue.now + callEveryMs * (0.5 + chance()), () => callAgain(nodes));
  }

  const planes = new Map(members.filter(({ kind }) => kind === "control-plane").map((one) => [one.id, one]));
  for (const plane of planes.values()) queue.at(chance() * askEveryMs, () => askAgain(plane));
  callAgain(members.filter(({ kind }) => kind === "node"));
  const byId = new Map(members.map((one) => [one.id, one]));

  /** Whatever took its place while it was away, its guests go on where they were. */
  function callAllOf(member: Member): void {
    for (const id of [...(member.engines?.guests.keys() ?? [])].slice(0, callsAtOnce))
      member.host.process.run(() => member.engines?.callOut(id));
  }

  world.onObservation(["bus.lost", "bus.regained", "resumed", "heard"], (seen) => {
    if (isOver) return;
    if (seen.type === "resumed" || seen.type === "bus.regained") {
      const member = byId.get(seen.host);
      if (member?.engines !== undefined && !callsAreOver) queue.at(queue.now, () => callAllOf(member));
    }
    const plane = "host" in seen ? planes.get(seen.host) : undefined;
    if (plane === undefined) return;
    if (seen.type === "bus.lost" || seen.type === "bus.regained") queue.at(queue.now, () => ask(plane));
    if (seen.type === "bus.regained") queue.at(queue.now + wholeAgainMs, () => ask(plane));
    if (seen.type !== "heard" || seen.said.kind === "node.heartbeat") return;
    const heard = hearing.of(plane.id, seen.said.node);
    const isOld = heard !== undefined && (seen.said.epoch < heard.epoch || seen.said.seq < heard.seq);
    if (isOld && chance() < 0.3) queue.at(queue.now, () => ask(plane));
  });
  return {
    stopCalls() {
      callsAreOver = true;
    },
    stop() {
      isOver = true;
    },
  };
}
