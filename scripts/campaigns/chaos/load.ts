import { type Chance, seededChance } from "../../../src/chance.ts";
import type { Client } from "../../../src/client/client.ts";
import { delay, systemClock } from "../../../src/clock.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import type { Assignment } from "../../../src/protocol/instance-spec.ts";
import { createLedger, type InstanceAccount, type Ledger, type Outcome, type Sent } from "./ledger.ts";
import { chaosLimits, population } from "./limits.ts";

/** The guests of a round, stored on the lattice, by their digests. */
export type Guests = Readonly<Record<"echo" | "counter", string>>;

/** A load under way. */
export interface Load {
  readonly ledger: Ledger;
  /** Sends nothing new; resolves when everything has come back. */
  end(): Promise<void>;
}

const capabilityId = "store";
const assignment = { capabilityId, providerType: "kv", permissions: ["kv:read", "kv:write"] };

/** Starts what a round begins with, then calls and commands without end, drawn from the seed. */
export async function beginLoad(
  client: Client,
  guests: Guests,
  { seed, tag }: { seed: number; tag: string },
): Promise<Load> {
  const ledger = createLedger();
  const world: World = { client, guests, ledger, chance: seededChance(seed), tag, goesOn: true };
  const all = { restartPolicy: { type: "always" as const } };
  const { echoes, stays, counters } = population;
  await begin(world, { ...all, name: `${tag}-echo`, guest: "echo", count: echoes, onNodeLoss: "relocate" });
  await begin(world, { ...all, name: `${tag}-stays`, guest: "echo", count: stays, onNodeLoss: "stay" });
  const granted = { ...all, guest: "counter" as const, onNodeLoss: "relocate" as const, isGranted: true };
  await begin(world, { ...granted, name: `${tag}-counter`, count: counters });
  const commanders = Array.from({ length: population.commanders }, (_, index) => command(world, index));
  const echoIds = [...ledger.instances.values()].filter(({ guest }) => guest === "echo");
  const callers = [
    call(world, "go", () => `${tag}-echo`),
    call(world, "go", () => `${tag}-stays`),
    call(world, "go", (chance) => pick(chance, echoIds)?.instanceId ?? ""),
    call(world, "go", (chance) => pick(chance, echoIds)?.instanceId ?? ""),
    call(world, "increment", () => `${tag}-counter`),
  ];
  return {
    ledger,
    async end() {
      world.goesOn = false;
      await Promise.all([...commanders, ...callers]);
    },
  };
}

interface World {
  readonly client: Client;
  readonly guests: Guests;
  readonly ledger: Ledger;
  readonly chance: Chance;
  readonly tag: string;
  goesOn: boolean;
}

interface Population {
  readonly name: string;
  readonly guest: "echo" | "counter";
  readonly count: number;
  readonly onNodeLoss: "relocate" | "stay";
  readonly isGranted?: boolean;
}

async function begin({ client, guests, ledger }: World, wanted: Population): Promise<void> {
  const { name, guest, count, onNodeLoss, isGranted = false } = wanted;
  const capabilities: Assignment[] = isGranted ? [{ ...assignment, config: {} }] : [];
  const sent = await client.start({
    module: { digest: guests[guest] },
    name,
    count,
    onNodeLoss,
    restartPolicy: { type: "always" },
    capabilities,
  });
  const at = Date.now();
  for (const { instanceId } of sent) {
    const done: Sent = { what: "start", at, until: at, outcome: "done" };
    const grant = guest === "counter" ? [{ ...done, means: isGranted }] : [];
    const presence = [{ ...done, means: true }];
    ledger.instances.set(instanceId, { instanceId, name, guest, presence, grant });
  }
}

/** One sender of commands; each has instances of its own, so that it knows the order of what is done to them. */
async function command(world: World, index: number): Promise<void> {
  const { client, ledger, guests, tag } = world;
  const chance = seededChance(Math.floor(world.chance() * 2 ** 32));
  const pool: InstanceAccount[] = [];
  const scaled = `${tag}-scaled${index}`;
  const scalings: (Sent & { count: number })[] = [];
  ledger.scaled.set(scaled, scalings);
  const first = { module: { digest: guests.echo }, name: scaled, onNodeLoss: "relocate" as const };
  scalings.push({ ...(await sending(world, "start", () => client.start(first))), count: 1 });

  for (let turn = 0; world.goesOn; turn += 1) {
    const one = pick(chance, pool);
    const drawn = chance();
    const isFull = pool.length >= population.poolMax;
    if (drawn < 0.25 && !isFull) {
      const isGranted = chance() < 0.5;
      const instanceId = `${tag}-c${index}-${turn}`;
      const account: InstanceAccount = {
        instanceId,
        name: instanceId,
        guest: "counter",
        presence: [],
        grant: [],
      };
      ledger.instances.set(instanceId, account);
      const capabilities = isGranted ? [{ ...assignment, config: {} }] : [];
      const request = {
        module: { digest: guests.counter },
        instanceId,
        onNodeLoss: "relocate" as const,
        capabilities,
      };
      const sent = await sending(world, "start", () =>
        client.start({ ...request, restartPolicy: { type: "always" } }),
      );
      account.presence.push({ ...sent, means: true });
      account.grant.push({ ...sent, means: isGranted });
      // What may not be there is not commanded any further: a refusal would say nothing.
      if (sent.outcome === "done") pool.push(account);
    } else if (one !== undefined && (drawn < 0.3 || isFull)) {
      pool.splice(pool.indexOf(one), 1);
      const { instanceId } = one;
      const sent = await sending(world, "stop", () => client.stop({ instanceId }));
      one.presence.push({ ...sent, means: false });
    } else if (one !== undefined && drawn < 0.5) {
      const { instanceId } = one;
      const sent = await sending(world, "assign", () => client.assign({ instanceId }, assignment));
      one.grant.push({ ...sent, means: true });
    } else if (one !== undefined && drawn < 0.7) {
      const { instanceId } = one;
      const sent = await sending(world, "revoke", () => client.revoke({ instanceId }, capabilityId));
      // That there is no such grant is an answer, too.
      const isGone = sent.outcome === "done" || sent.outcome.code === "INVALID_REQUEST";
      one.grant.push({ ...sent, outcome: isGone ? "done" : sent.outcome, means: false });
    } else if (one !== undefined && drawn < 0.85) {
      await sending(world, "restart", () => client.restart({ instanceId: one.instanceId }));
    } else {
      const count = 1 + Math.floor(chance() * population.scaledMax);
      const sent = await sending(world, "scale", () => client.scale(scaled, count));
      scalings.push({ ...sent, count });
    }
    await delay(systemClock, chaosLimits.commandPauseMs);
  }
}

async function sending({ ledger }: World, what: string, send: () => Promise<unknown>): Promise<Sent> {
  const at = Date.now();
  let outcome: Outcome;
  try {
    await send();
    outcome = "done";
  } catch (error) {
    outcome = { code: codeOf(error) };
  }
  const sent = { what, at, until: Date.now(), outcome };
  ledger.commands.push(sent);
  return sent;
}

async function call(world: World, operation: string, target: (chance: Chance) => string): Promise<void> {
  const { client, ledger } = world;
  const chance = seededChance(Math.floor(world.chance() * 2 ** 32));
  const { callTimeoutMs: timeoutMs, callPauseMs, overdueMs } = chaosLimits;
  while (world.goesOn) {
    const at = Date.now();
    try {
      await client.call(target(chance), operation, new TextEncoder().encode("1"), { timeoutMs });
      ledger.calls.done += 1;
    } catch (error) {
      const code = codeOf(error);
      ledger.calls.failed.set(code, (ledger.calls.failed.get(code) ?? 0) + 1);
    }
    const tookMs = Date.now() - at;
    ledger.calls.slowestMs = Math.max(ledger.calls.slowestMs, tookMs);
    if (tookMs > timeoutMs + overdueMs) ledger.calls.overdue += 1;
    await delay(systemClock, callPauseMs);
  }
}

function pick<One>(chance: Chance, list: readonly One[]): One | undefined {
  return list[Math.floor(chance() * list.length)];
}

function codeOf(error: unknown): string {
  return error instanceof Failure ? error.code : `not a Failure: ${String(error)}`;
}
