import type { Chance } from "../../../src/chance.ts";
import { chaosLimits } from "./limits.ts";
import type { PartKind } from "./part.ts";

/** What may be done to a lattice; those after `rolling` need a network whose packets can be lost. */
export type FaultKind =
  | "kill"
  | "kill-engine"
  | "freeze"
  | "rolling"
  | "partition"
  | "mute"
  | "deafen"
  | "loss"
  | "split";

/** One fault: what is done to whom, when it begins after the round did, and for how long. */
export interface Fault {
  readonly kind: FaultKind;
  /** Part ids; of a split those on one side, all others and the campaign are on the other. */
  readonly targets: readonly string[];
  readonly atMs: number;
  readonly forMs: number;
}

/** The parts that there are. */
export type Ids = Readonly<Record<PartKind, readonly string[]>>;

const anywhere: readonly (readonly [FaultKind, PartKind, number])[] = [
  ["kill", "node", 5],
  ["kill", "plane", 3],
  ["kill", "provider", 1],
  ["kill", "server", 2],
  ["kill-engine", "node", 1],
  ["freeze", "node", 3],
  ["freeze", "plane", 2],
  ["freeze", "provider", 1],
  ["freeze", "server", 2],
  ["rolling", "server", 2],
];
const withNetwork: typeof anywhere = [
  ...anywhere,
  ["partition", "node", 3],
  ["partition", "plane", 2],
  ["partition", "provider", 1],
  ["partition", "server", 2],
  ["mute", "node", 2],
  ["mute", "plane", 1],
  ["deafen", "node", 2],
  ["deafen", "plane", 1],
  ["loss", "node", 2],
  ["loss", "plane", 1],
  ["loss", "server", 2],
  ["split", "server", 3],
];

/** Kinds that take a part away from the others, so that what it alone knew is not known elsewhere. */
const removing: ReadonlySet<FaultKind> = new Set(["kill", "freeze", "partition", "mute", "deafen", "split"]);

/** Draws the faults of a round, the earliest first. The same numbers give the same faults. */
export function drawFaults(chance: Chance, ids: Ids, hasNetwork: boolean): Fault[] {
  const { faultsMin, faultsMax } = chaosLimits;
  const count = faultsMin + Math.floor(chance() * (faultsMax - faultsMin + 1));
  const faults: Fault[] = [];
  // Some draws do not go together with what was drawn before; a bound keeps the loop from hoping for ever.
  for (let tries = 0; faults.length < count && tries < 50; tries += 1) {
    const fault = drawOne(chance, ids, hasNetwork ? withNetwork : anywhere);
    if (faults.every((other) => goTogether(fault, other, ids)) && enoughNodesLeft([...faults, fault], ids))
      faults.push(fault);
  }
  return faults.toSorted((one, other) => one.atMs - other.atMs);
}

/** As a person reads it. */
export function describeFault({ kind, targets, atMs, forMs }: Fault): string {
  const lasting = kind === "rolling" || kind === "kill-engine" ? "" : ` for ${seconds(forMs)}`;
  return `${seconds(atMs)} ${kind} ${targets.join(",")}${lasting}`;
}

function drawOne(chance: Chance, ids: Ids, table: typeof anywhere): Fault {
  const { troubleMs, faultMsMin, faultMsMax, rollingPauseMs } = chaosLimits;
  let rest = chance() * table.reduce((sum, [, , weight]) => sum + weight, 0);
  const [kind, part] = table.find(([, , weight]) => (rest -= weight) < 0) ?? (["kill", "node"] as const);
  const targets = targetsOf(chance, ids, kind, part);
  const atMs = Math.round(chance() * troubleMs);
  const drawn = Math.round(faultMsMin + chance() * (faultMsMax - faultMsMin));
  return { kind, targets, atMs, forMs: kind === "rolling" ? targets.length * rollingPauseMs : drawn };
}

function targetsOf(chance: Chance, ids: Ids, kind: FaultKind, part: PartKind): string[] {
  if (kind === "rolling") return [...ids.server];
  const pick = (list: readonly string[]) => list[Math.floor(chance() * list.length)] ?? "";
  if (kind !== "split") return [pick(ids[part])];
  // A server, a plane and some nodes can work on their own.
  return [
    pick(ids.server),
    pick(ids.plane),
    ...ids.node.filter(() => chance() < 0.4),
    ...ids.provider.filter(() => chance() < 0.5),
  ];
}

/**
 * What two faults at once may not do, for nobody could make it good: nothing is stored, so what only one control
 * plane knows is gone when that plane dies before it told the others, and a cluster needs a server that works.
 */
function goTogether(one: Fault, other: Fault, ids: Ids): boolean {
  const planes = (fault: Fault) =>
    removing.has(fault.kind) && fault.targets.some((id) => ids.plane.includes(id));
  const plansToKill = (fault: Fault) => fault.kind === "kill" && planes(fault);
  if (plansToKill(one) && plansToKill(other)) return false;
  const apart = overlapMs(one, other) <= 0;
  if (planes(one) && planes(other) && !(apart && overlapMs(one, other) < -4_000)) return false;
  if (apart) return true;
  const servers = (fault: Fault) => fault.targets.some((id) => ids.server.includes(id));
  if (servers(one) && servers(other)) return false;
  return !one.targets.some((id) => other.targets.includes(id));
}

/** Three of five stay; a lattice without nodes has no room for what was lost. */
function enoughNodesLeft(faults: readonly Fault[], ids: Ids): boolean {
  const away = (at: number) =>
    new Set(
      faults
        .filter(
          ({ kind, atMs, forMs }) =>
            removing.has(kind) && kind !== "split" && atMs <= at && at <= atMs + forMs,
        )
        .flatMap(({ targets }) => targets.filter((id) => ids.node.includes(id))),
    ).size;
  return faults.every(({ atMs }) => away(atMs) <= Math.max(1, ids.node.length - 3));
}

function overlapMs(one: Fault, other: Fault): number {
  return Math.min(one.atMs + one.forMs, other.atMs + other.forMs) - Math.max(one.atMs, other.atMs);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
