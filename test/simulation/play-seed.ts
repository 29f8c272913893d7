import { checkActualStatus } from "./checkers/actual-status.ts";
import { checkAnswers } from "./checkers/answers.ts";
import { checkGrants } from "./checkers/grants.ts";
import { checkMinimalState } from "./checkers/minimal-state.ts";
import { followLedger } from "./checkers/nothing-forgotten.ts";
import { checkOneCopy } from "./checkers/one-copy.ts";
import { checkOneEffect } from "./checkers/one-effect.ts";
import { checkPresence } from "./checkers/presence.ts";
import { checkRelocations } from "./checkers/relocations.ts";
import { checkRestartPolicies } from "./checkers/restart-policies.ts";
import { differenceOf } from "./checkers/same-views.ts";
import { checkWholeAgain } from "./checkers/whole-again.ts";
import { createConnections } from "./connections.ts";
import { createFaults } from "./faults.ts";
import { followHearing } from "./hearing.ts";
import type { Look } from "./look.ts";
import type { Member } from "./members.ts";
import { drawLattice } from "./draw-lattice.ts";
import { beginSampling, wholeAgainMs } from "./sampling.ts";
import { createWorld, type SimulatedWorld } from "./simulated-world.ts";
import { followTruth } from "./truth.ts";
import { beginWorkload } from "./workload.ts";

/** What was seen of one seed. */
export interface SeedResult {
  readonly seed: number;
  /** Whether its control planes signed what they told nodes. */
  readonly isSigned: boolean;
  readonly hash: string;
  readonly failures: readonly { readonly checker: string; readonly what: string; readonly atMs: number }[];
  readonly simulatedMs: number;
  readonly deliveries: number;
  readonly commands: number;
  readonly faults: Readonly<Record<string, number>>;
  /** How long after the last disturbance every view was true, ms. */
  readonly convergedMs: number;
  readonly trace: readonly string[];
}

/** How a seed is played. */
export interface SeedOptions {
  /** Drawn from 3 to 12 unless given. */
  readonly nodes?: number;
  /** How long it is commanded and hurt; drawn from 30 to 100 s unless given. */
  readonly loadMs?: number;
  readonly keepsTrace?: boolean;
}

/** After healing at most one copy of an instance lives by then. */
const oneCopyAfterMs = 5_000;

/** And by then all views are true; see docs/simulation.md for what the bound is made of. */
const viewsTrueAfterMs = 11_000;

/** Plays one seed on the real code: the same seed gives the same result, in any process. */
export async function playSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const world = createWorld(seed, options.keepsTrace ?? false);
  const failures: SeedResult["failures"][number][] = [];
  const now = () => world.queue.now;
  const hearing = followHearing(now);
  const truth = followTruth(now);
  const lookAs = (checker: string): Look => ({
    now,
    hearing,
    truth,
    fail(what) {
      world.trace.note(`FAILED ${checker}: ${what}`);
      failures.push({ checker, what, atMs: Math.round(now()) });
    },
  });
  const bugs = lookAs("no uncaught error");
  world.onError = (error) =>
    bugs.fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  const plan = drawLattice(world, options);
  const { members } = plan;
  const answers = checkAnswers(lookAs("answers"));
  const ledger = followLedger(lookAs("nothing forgotten"), idsOf(members, "control-plane"));
  const lives = ["began", "ended"] as const;
  world.onObservation([...lives, "heard"], (seen) => hearing.see(seen));
  world.onObservation(["ended", "stated"], (seen) => truth.see(seen));
  world.onObservation(
    [...lives, "command.sent", "command.settled", "garbled", "heard", "stated"],
    ledger.checker,
  );
  world.onObservation(["command.sent", "command.settled", "call.settled"], answers.checker);
  world.onObservation(
    ["began", "garbled", "heard", "recalled", "told"],
    checkActualStatus(lookAs("actual status")),
  );
  world.onObservation(["call.left", "call.performed"], checkGrants(lookAs("grants")));
  world.onObservation(["message", "told"], checkMinimalState(lookAs("minimal state")));
  world.onObservation([...lives, "command.settled", "stated"], checkOneEffect(lookAs("one effect")));
  world.onObservation(
    ["began", "resumed", "bus.lost", "bus.regained", "told", "message"],
    checkPresence(lookAs("presence")),
  );
  world.onObservation(
    [...lives, "beat", "bus.lost", "fault", "message", "paused", "stated"],
    checkRelocations(lookAs("relocations")),
  );
  world.onObservation(
    [...lives, "bus.lost", "bus.regained", "fault", "told"],
    checkWholeAgain(lookAs("whole again"), wholeAgainMs),
  );
  world.onObservation(
    ["ended", "guest.crashed", "paused", "resumed", "stated"],
    checkRestartPolicies(lookAs("restart policies")),
  );

  const connections = createConnections(world, members);
  const faults = createFaults(world, members, connections);
  for (const member of members) world.queue.at(plan.beginsAt(member), () => member.begin());
  const sampler = beginSampling(world, members, hearing);
  await world.runUntil(3_000);
  const nodes = idsOf(members, "node");
  const workloads = members
    .filter(({ kind }) => kind === "client")
    .map((client) => beginWorkload(world, client, { nodes, ...plan.pace }));
  faults.schedule(plan.faults, 6_000, plan.healAtMs - 1_000);
  await runWhileClean(world, failures, plan.healAtMs);
  if (failures.length === 0) {
    for (const workload of workloads) workload.stop();
    sampler.stopCalls();
    faults.heal();
    world.observe({ type: "healed" });
  }
  const calmAt = Math.max(plan.healAtMs, world.network.lateUntil);
  await runWhileClean(world, failures, calmAt);
  const convergedMs = failures.length > 0 ? 0 : await untilTrue(world, lookAs("same views"), members, calmAt);
  await runWhileClean(world, failures, calmAt + oneCopyAfterMs);
  if (failures.length === 0) checkOneCopy(lookAs("one copy"), members);
  await runWhileClean(world, failures, calmAt + viewsTrueAfterMs + 2_000);
  if (failures.length === 0) ledger.checkEnd();
  // What was sent last has half a minute.
  for (let turn = 0; turn < 40 && answers.pending() > 0 && failures.length === 0; turn += 1)
    await world.runUntil(now() + 1_000);
  if (failures.length === 0 && answers.pending() > 0)
    lookAs("answers").fail(`${answers.pending()} commands were never answered`);
  sampler.stop();
  const commands = workloads.reduce((sum, workload) => sum + workload.commands, 0);
  return {
    seed,
    isSigned: plan.isSigned,
    hash: world.trace.hash(),
    failures,
    simulatedMs: Math.round(now()),
    deliveries: world.trace.deliveries,
    commands,
    faults: Object.fromEntries(faults.counts),
    convergedMs,
    trace: world.trace.lines,
  };
}

/** Nothing that comes after the first failure says more. */
async function runWhileClean(
  world: SimulatedWorld,
  failures: readonly unknown[],
  until: number,
): Promise<void> {
  while (world.queue.now < until && failures.length === 0)
    await world.runUntil(Math.min(until, world.queue.now + 500));
}

/** Asks all control planes until each tells the truth, or the time for that is over. */
async function untilTrue(
  world: SimulatedWorld,
  look: Look,
  members: readonly Member[],
  calmAt: number,
): Promise<number> {
  let truthAt = Number.NaN;
  for (;;) {
    const planes = members.filter(({ kind, isAlive }) => kind === "control-plane" && isAlive);
    const views = Promise.all(planes.map(async (plane) => ({ plane, told: await plane.tell(true) })));
    await world.runUntil(world.queue.now + 0.001);
    const differences = (await views).map(({ plane, told }) =>
      told === undefined ? `${plane.id} does not answer` : differenceOf(look, plane.id, told),
    );
    const difference = differences.find((one) => one !== undefined);
    if (difference === undefined && Number.isNaN(truthAt)) truthAt = look.now() - calmAt;
    if (difference === undefined) return truthAt;
    if (look.now() > calmAt + viewsTrueAfterMs) {
      look.fail(`${Math.round(look.now() - calmAt)} ms after the last disturbance ${difference}`);
      return look.now() - calmAt;
    }
    await world.runUntil(look.now() + 100);
  }
}

function idsOf(members: readonly Member[], kind: Member["kind"]): string[] {
  return members.filter((member) => member.kind === kind).map(({ id }) => id);
}
