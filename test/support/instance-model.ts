import { nodeLimits, restartLimits } from "../../src/limits.ts";
import type { Chance } from "../../src/chance.ts";
import type { ErrorCode } from "../../src/protocol/errors.ts";
import type { RestartPolicy } from "../../src/protocol/instance-spec.ts";
import { restartPolicyModel } from "./restart-policy-model.ts";

/** A fact as the model foretells it: its kind, the restarts in it, and where it has one the reason of a restart. */
export type Foretold = readonly [kind: string, restarts: number, reason?: string];

const policyBounds = {
  stableRunMs: restartLimits.stableRunMs,
  intensity: restartLimits.alwaysIntensity,
  periodMs: restartLimits.alwaysPeriodMs,
};

/** What surrounds a modelled instance; shared by the lives of one id. */
export interface ModelWorld {
  now: number;
  engineUp: boolean;
  held: boolean;
  failing: ErrorCode | undefined;
  readonly facts: Foretold[];
}

/** One life of an instance once more, as a state, some variables and a list, to hold the machine against. */
export function instanceModel(policy: RestartPolicy, chance: Chance, world: ModelWorld) {
  let state = "starting";
  let restarts = 0;
  let hasRun = false;
  /** Whether an engine holds a start of it. */
  let underWay = false;
  let verdictAt = Infinity;
  let restartAt = Infinity;
  let rules = restartPolicyModel(policy, chance, policyBounds);

  const say = (verb: string, ...reason: [string?]) =>
    void world.facts.push([`instance.${verb}`, restarts, ...reason] as Foretold);

  function enter(next: string): void {
    state = next;
    verdictAt = next === "engine-in-doubt" ? world.now + nodeLimits.engineVerdictMs : Infinity;
    if (next !== "backing-off") restartAt = Infinity;
    if (next === "starting") tryStart();
  }

  function tryStart(): void {
    if (state !== "starting" || !world.engineUp) return;
    underWay = world.held;
    if (underWay) return;
    if (world.failing === undefined) {
      state = "running";
      hasRun = true;
      say("running");
      rules.running(world.now);
    } else if (
      !hasRun &&
      restarts === 0 &&
      (world.failing === "INVALID_MODULE" || world.failing === "RESOURCE_EXHAUSTED")
    ) {
      end();
    } else if (world.failing === "COMMUNICATION_FAILURE") enter("engine-in-doubt");
    else crash();
  }

  function crash(): void {
    say("crashed");
    rules.crash(world.now);
    const verdict = rules.expected.at(-1);
    if (verdict?.type === "restart.now") return again("its restart policy");
    if (verdict?.type === "restart.scheduled") {
      say("backing-off");
      enter("backing-off");
      restartAt = verdict.at;
      return;
    }
    if (policy.type !== "never") say("gave-up");
    enter(policy.type === "never" ? "crashed" : "gave-up");
  }

  function again(reason: string): void {
    restarts += 1;
    say("restarting", reason);
    enter("starting");
  }

  function end(): void {
    enter("stopped");
    say("stopped");
  }

  say("starting");
  enter("starting");

  return {
    state: () => state,
    hasEnded: () => state === "stopped",
    guestLives: () => state === "running",
    crash: () => (state === "running" ? crash() : undefined),
    engineLost() {
      underWay = false;
      if (state === "stopping") return end();
      if (state !== "running" && state !== "starting" && state !== "engine-in-doubt") return;
      say("restarting", "the engine ended");
      enter("starting");
    },
    engineUp: tryStart,
    released() {
      underWay = false;
      if (state === "stopping") end();
      else tryStart();
    },
    stop() {
      if (state === "stopped" || state === "stopping") return;
      if (underWay) enter("stopping");
      else end();
    },
    restart() {
      if (!["running", "engine-in-doubt", "backing-off", "crashed", "gave-up"].includes(state)) return;
      rules = restartPolicyModel(policy, chance, policyBounds);
      again("it was told to");
    },
    /** Time goes on to `target`; what is due at that moment happens. */
    walkTo(target: number) {
      for (let due = Math.min(verdictAt, restartAt); due <= target; due = Math.min(verdictAt, restartAt)) {
        world.now = due;
        rules.advanceTo(due);
        if (due === verdictAt) crash();
        else again("its restart policy");
      }
      world.now = target;
      rules.advanceTo(target);
    },
  };
}
