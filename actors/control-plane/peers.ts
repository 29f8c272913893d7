import type { Bus } from "../../src/bus/bus.ts";
import { validate } from "../../src/bus/serve.ts";
import type { Clock } from "../../src/clock.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { filterFor, parametersOf, subjectFor } from "../../src/protocol/addresses.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import type { ControlPlaneBeat } from "../../src/protocol/node-commands.ts";

/** The control planes of a lattice, as one of them sees them. */
export interface Peers {
  /**
   * Whether this one acts on losses: of those that know the whole lattice it began first. A later one has never heard of
   * a node that died before, and would keep those from acting that have.
   */
  leads(): boolean;
  /** The ids of the others that were heard lately. */
  others(): string[];
  /** Says at once what has changed with this one. */
  beat(): void;
  /** Says goodbye, so that the next one acts at once. */
  stop(): void;
}

/** What the peers of one control plane need of the world. */
export interface PeersWorld {
  lattice: string;
  controlPlaneId: string;
  bus: Bus;
  clock: Clock;
  log: Log;
  isReady: () => boolean;
  /** Copies that this one knows on nodes that cannot be asked any more. */
  outOfReach: () => number;
  /** Who leads may be another one than before. */
  onChange: () => void;
  /** What lets this one sign, and what is done with those of the others. */
  certificate?: string | undefined;
  onBeat?: (beat: ControlPlaneBeat, isNew: boolean) => void;
}

/** Speaks for this control plane and listens to the others. Nothing is agreed upon: two that disagree do no harm. */
export function createPeers({
  lattice,
  controlPlaneId,
  bus,
  clock,
  log,
  isReady,
  outOfReach,
  onChange,
  certificate,
  onBeat,
}: PeersWorld): Peers {
  const epoch = clock.now();
  const heard = new Map<string, ControlPlaneBeat & { at: number }>();
  let didLead = false;

  const isFirst = () => {
    const since = clock.now() - controlPlaneLimits.peerLostMs;
    const counts = (peer: ControlPlaneBeat & { at: number }) =>
      peer.at >= since && peer.ready && peer.leaving !== true;
    return ![...heard.values()].some((peer) => counts(peer) && ranksBefore(peer));
  };
  const leads = () => isReady() && bus.connected && isFirst();
  const ranksBefore = (peer: ControlPlaneBeat) =>
    peer.epoch < epoch || (peer.epoch === epoch && peer.controlPlane < controlPlaneId);
  const look = () => {
    const now = leads();
    if (now === didLead) return;
    didLead = now;
    if (now) log.info({ controlPlane: controlPlaneId }, "this control plane acts on losses now");
    onChange();
  };
  const say = (leaving: boolean) => {
    if (!bus.connected) return;
    const beat: ControlPlaneBeat = {
      controlPlane: controlPlaneId,
      epoch,
      ready: isReady() && !leaving,
      leaving,
      outOfReach: outOfReach(),
      ...(certificate === undefined ? {} : { certificate }),
    };
    bus.publish(subjectFor("plane.beat", { lattice, controlPlane: controlPlaneId }), encode(beat, "json"));
  };

  const subscription = bus.subscribe(filterFor("plane.beat", { lattice }), (message) => {
    const beat = validate("plane.beat", decode(message.data).value) as ControlPlaneBeat;
    if (beat.controlPlane !== parametersOf("plane.beat", message.subject).controlPlane) return;
    if (beat.controlPlane === controlPlaneId && beat.epoch === epoch) return;
    const key = `${beat.controlPlane} ${beat.epoch}`;
    const isNew = !heard.has(key);
    onBeat?.(beat, isNew);
    heard.set(key, { ...beat, at: clock.now() });
    // It asks those that it knows what they have heard before it takes what it knows for the whole.
    if (isNew && beat.leaving !== true) say(false);
    look();
  });
  const tick = () => {
    const since = clock.now() - controlPlaneLimits.peerLostMs;
    for (const [key, { at }] of heard) if (at < since) heard.delete(key);
    say(false);
    look();
    timer = clock.setTimeout(tick, controlPlaneLimits.beatMs);
  };
  let timer = clock.setTimeout(tick, 0);

  return {
    leads,
    others() {
      const here = [...heard.values()].filter(({ leaving }) => leaving !== true);
      return [...new Set(here.map(({ controlPlane }) => controlPlane))].filter((id) => id !== controlPlaneId);
    },
    beat() {
      say(false);
      look();
    },
    stop() {
      clock.clearTimeout(timer);
      subscription.unsubscribe();
      say(true);
    },
  };
}
