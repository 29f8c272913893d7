import { restartLimits } from "../../../src/limits.ts";
import type { Fact } from "../../../src/protocol/facts.ts";
import type { RestartPolicy } from "../../../src/protocol/instance-spec.ts";
import type { Look } from "../look.ts";
import type { Checker } from "../observations.ts";

/** What is known of one instance on one life of a node. */
interface Life {
  readonly host: string;
  readonly instanceId: string;
  readonly policy: RestartPolicy;
  tries: number;
  /** By the node's clock, as the policy counts them. */
  crashes: number[];
  /** A restart by policy was ordered and has not led to a run yet. */
  isOrdered: boolean;
  /** True time from which the run counts as stable; undefined where nothing is counted. */
  stableAt: number | undefined;
  /** What has to be stated next, and when at the earliest and at the latest. */
  awaits: "decision" | { readonly from: number; readonly until: number } | undefined;
  /** Crashes of its guest that are yet to be stated. */
  guestCrashes: number;
}

/** How exactly a timer is kept: the drift of a clock over the longest delay, and a millisecond of rounding. */
const slackMs = 60;

/**
 * P8: each crash is a fact, none is made up, and it is followed by what the instance's own policy says: nothing, a restart
 * at once, or one after a delay below the ceiling of that try, until the tries are used up. Timers are held to it too.
 */
export function checkRestartPolicies(look: Look): Checker {
  const lives = new Map<string, Life>();
  const pausedAt = new Map<string, number>();

  const wrong = ({ host, instanceId, policy }: Life, what: string) =>
    look.fail(`${instanceId} on ${host}, policy ${JSON.stringify(policy)}: ${what}`);
  const wasPaused = (host: string, since: number) => (pausedAt.get(host) ?? -1) >= since;

  function settle(life: Life): void {
    if (life.stableAt === undefined || look.now() < life.stableAt) return;
    life.stableAt = undefined;
    life.tries = 0;
    life.crashes = [];
  }

  /** At the border of a stable run both answers are right. */
  const isAtBorder = ({ stableAt }: Life) =>
    stableAt !== undefined && Math.abs(look.now() - stableAt) < 1_000;

  function crash(life: Life, fact: Extract<Fact, { kind: "instance.crashed" }>, clockMs: number): void {
    if (fact.data.crash.reason !== "start-failure") {
      if (life.guestCrashes === 0) wrong(life, "a crash is stated, but its guest did not crash");
      life.guestCrashes = Math.max(0, life.guestCrashes - 1);
    }
    if (isAtBorder(life)) life.tries = -1;
    settle(life);
    life.stableAt = undefined;
    life.isOrdered = false;
    const { alwaysPeriodMs } = restartLimits;
    life.crashes = life.crashes.filter((at) => at <= clockMs && clockMs - at <= alwaysPeriodMs);
    life.awaits = life.policy.type === "never" ? undefined : "decision";
    life.crashes.push(clockMs);
  }

  function backOff(life: Life, { attempt, delayMs }: { attempt: number; delayMs: number }): void {
    const { policy } = life;
    if (policy.type !== "backoff" || life.awaits !== "decision")
      return wrong(life, "it backs off without a reason");
    if (life.tries < 0) life.tries = attempt - 1;
    life.tries += 1;
    if (attempt !== life.tries) wrong(life, `try ${attempt} is told where ${life.tries} is due`);
    if (attempt > policy.maxRetries) wrong(life, `try ${attempt} is one too many`);
    const ceilingMs = Math.min(policy.maxDelayMs, policy.delayMs * 2 ** (attempt - 1));
    if (delayMs < 0 || delayMs > ceilingMs) wrong(life, `a delay of ${delayMs} ms is above ${ceilingMs} ms`);
    life.awaits = { from: look.now() + delayMs - slackMs, until: look.now() + delayMs + slackMs };
  }

  function restart(life: Life): void {
    const { policy, awaits } = life;
    if (policy.type === "always" && awaits === "decision") {
      if (life.tries >= 0 && life.crashes.length > restartLimits.alwaysIntensity)
        wrong(life, "it is restarted although it crashed too often");
      if (life.tries < 0) life.tries = 0;
    } else if (policy.type === "backoff" && typeof awaits === "object") {
      const { from, until } = awaits;
      if (look.now() < from) wrong(life, `it is restarted ${Math.round(from - look.now())} ms too early`);
      if (look.now() > until && !wasPaused(life.host, from - 30_000))
        wrong(life, `it is restarted ${Math.round(look.now() - until)} ms too late`);
    } else wrong(life, "its policy is said to restart it, which it must not");
    life.awaits = undefined;
    life.isOrdered = true;
  }

  function giveUp(life: Life): void {
    const { policy, awaits } = life;
    if (awaits !== "decision") wrong(life, "it is given up without a crash");
    const isDue =
      life.tries < 0 ||
      (policy.type === "always" && life.crashes.length > restartLimits.alwaysIntensity) ||
      (policy.type === "backoff" && life.tries >= policy.maxRetries);
    if (!isDue) wrong(life, `it is given up after ${life.tries} tries and ${life.crashes.length} crashes`);
    life.awaits = undefined;
  }

  function state(host: string, fact: Fact, clockMs: number): void {
    if (fact.kind === "instance.starting") {
      const { instanceId, restartPolicy } = fact.data.spec;
      lives.set(`${host} ${instanceId}`, {
        host,
        instanceId,
        policy: restartPolicy,
        ...afresh(),
        guestCrashes: 0,
      });
      return;
    }
    const life = lives.get(`${host} ${(fact.data as { instanceId?: string }).instanceId}`);
    if (life === undefined) return;
    if (life.awaits === "decision" && isStep(fact.kind) && !decisions.has(fact.kind))
      wrong(life, `a crash is followed by ${fact.kind} and not by what its policy says`);
    if (fact.kind === "instance.crashed") crash(life, fact, clockMs);
    else if (fact.kind === "instance.backing-off") backOff(life, fact.data);
    else if (fact.kind === "instance.gave-up") giveUp(life);
    else if (fact.kind === "instance.stopped") lives.delete(`${host} ${life.instanceId}`);
    else if (fact.kind === "instance.running") {
      if (life.isOrdered) life.stableAt = look.now() + restartLimits.stableRunMs;
      life.isOrdered = false;
    } else if (fact.kind === "instance.restarting") {
      if (fact.data.reason === "its restart policy") restart(life);
      if (fact.data.reason === "it was told to") Object.assign(life, afresh());
    }
  }

  return (seen) => {
    if (seen.type === "stated") state(seen.host, seen.fact, seen.clockMs);
    else if (seen.type === "guest.crashed") {
      const life = lives.get(`${seen.host} ${seen.instanceId}`);
      if (life !== undefined) life.guestCrashes += 1;
    } else if (seen.type === "paused" || seen.type === "resumed") pausedAt.set(seen.host, look.now());
    else if (seen.type === "ended")
      for (const [key, life] of lives) if (life.host === seen.host) lives.delete(key);
  };
}

/** Nothing is counted against it. */
function afresh(): Pick<Life, "tries" | "crashes" | "isOrdered" | "stableAt" | "awaits"> {
  return { tries: 0, crashes: [], isOrdered: false, stableAt: undefined, awaits: undefined };
}

const decisions: ReadonlySet<string> = new Set([
  "instance.restarting",
  "instance.backing-off",
  "instance.gave-up",
]);

function isStep(kind: string): boolean {
  return (
    kind.startsWith("instance.") &&
    !["instance.yielding", "instance.fenced", "instance.relocated"].includes(kind)
  );
}
