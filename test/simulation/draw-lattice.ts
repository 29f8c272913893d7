import { createHash } from "node:crypto";
import { signingKeyFrom } from "../../src/trust/keys.ts";
import { createTestTrust, type TestTrust } from "../support/trust.ts";
import type { Member } from "./members.ts";
import { createMember } from "./members.ts";
import type { SimulatedWorld } from "./simulated-world.ts";

/** What a seed begins with. */
export interface LatticePlan {
  readonly members: readonly Member[];
  readonly isSigned: boolean;
  beginsAt(member: Member): number;
  readonly pace: { readonly paceMs: number; readonly ownedMax: number };
  readonly faults: number;
  readonly healAtMs: number;
}

/** Of that share of lattices the control planes sign what they tell nodes, and what they grant. */
const signedShare = 0.4;

/** Draws the members of a lattice, their places and clocks, and how much is to happen to them. */
export function drawLattice(
  world: SimulatedWorld,
  { nodes, loadMs: wantedMs }: { nodes?: number; loadMs?: number },
): LatticePlan {
  const chance = world.chance("lattice");
  const whole = (low: number, high: number) => low + Math.floor(chance() * (high - low + 1));
  const trust = world.chance("trust")() < signedShare ? drawTrust(world) : undefined;
  // Small lattices more often: they show as much, and cost less.
  const nodeCount = nodes ?? 3 + Math.floor(chance() ** 2 * 10);
  const plan = (id: string, kind: Member["kind"], site: number, providers: string[] = []) => {
    const isSteady = kind === "client" || chance() < 0.5;
    return createMember(world, {
      id,
      kind,
      site,
      providers,
      trust: trust?.controlPlane(id),
      labels: { zone: site === 0 ? "a" : "b", tier: chance() < 0.5 ? "a" : "b" },
      instancesMax: chance() < 0.1 ? 3 : 1_000,
      clockError: isSteady
        ? { offsetMs: 0, rate: 1 }
        : { offsetMs: whole(-5_000, 5_000), rate: 1 + (chance() - 0.5) * 0.004 },
    });
  };
  const site = () => (chance() < 0.7 ? 0 : 1);
  const members = [
    ...list(whole(1, 3), (n) => plan(`cp-${n}`, "control-plane", n === 1 ? 0 : site())),
    ...list(nodeCount, (n) =>
      plan(`n${n}`, "node", site(), n === 1 || (chance() < 0.06 && n < 13) ? ["kv"] : []),
    ),
    ...list(Math.floor(chance() * 1.8), (n) => plan(`p${n}`, "provider", site(), ["kv"])),
    ...list(whole(1, 2), (n) => plan(`c${n}`, "client", n === 1 ? 0 : site())),
  ];
  const begins = new Map(members.map((member) => [member, chance() * 1_000]));
  const drawnMs = 30_000 + chance() * 70_000;
  const loadMs = wantedMs ?? drawnMs;
  return {
    members,
    isSigned: trust !== undefined,
    beginsAt: (member) => begins.get(member) ?? 0,
    pace: { paceMs: 300 + chance() * 2_500, ownedMax: whole(3, 12) },
    faults: whole(1, Math.round(loadMs / 3_000)),
    healAtMs: 6_000 + loadMs,
  };
}

/** Keys that the seed draws: as good as any, and the same again. */
function drawTrust(world: SimulatedWorld): TestTrust {
  const chance = world.chance("keys");
  return createTestTrust(1, () => {
    const seed = createHash("sha256").update(`${chance()} ${chance()}`).digest("base64url");
    return { seed, key: signingKeyFrom(seed).key };
  });
}

function list<One>(count: number, make: (n: number) => One): One[] {
  return Array.from({ length: count }, (_, index) => make(index + 1));
}
