import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { SeedResult } from "../../../test/simulation/play-seed.ts";
import type { SeedOrder } from "./worker.ts";

/** Seeds to be played. */
export interface SeedRun {
  readonly from: number;
  readonly seeds: number;
  readonly workers: number;
  readonly nodes?: number | undefined;
  readonly loadMs?: number | undefined;
  readonly mutant?: string | undefined;
  readonly keepsTrace?: boolean;
  /** Told of each seed as it is played; `false` ends the run. */
  readonly onResult: (result: SeedResult) => boolean;
}

const program = fileURLToPath(new URL("worker.ts", import.meta.url));

/** Most of what a seed makes is gone with it: room for it where it costs nothing to clear. */
const execArgv = ["--max-semi-space-size=64"];

/** A seed that its process did not survive. */
function lost(seed: number, what: string): SeedResult {
  return {
    seed,
    isSigned: false,
    hash: "",
    failures: [{ checker: "the simulation goes on", what, atMs: 0 }],
    simulatedMs: 0,
    deliveries: 0,
    commands: 0,
    faults: {},
    convergedMs: 0,
    trace: [],
  };
}

/** Plays the seeds in processes of their own, each taking the next one as it is done with the last. */
export async function runSeeds(run: SeedRun): Promise<void> {
  let next = run.from;
  const end = run.from + run.seeds;
  let isOver = false;
  const work = async (): Promise<void> => {
    while (!isOver && next < end) await workUntilItDies();
  };

  function workUntilItDies(): Promise<void> {
    return new Promise((resolve) => {
      const child: ChildProcess = fork(program, run.mutant === undefined ? [] : ["--mutant", run.mutant], {
        execArgv,
      });
      let playing: number | undefined;
      const giveNext = () => {
        if (isOver || next >= end) {
          playing = undefined;
          child.disconnect();
          return;
        }
        playing = next++;
        const order: SeedOrder = {
          seed: playing,
          ...(run.nodes === undefined ? {} : { nodes: run.nodes }),
          ...(run.loadMs === undefined ? {} : { loadMs: run.loadMs }),
          ...(run.keepsTrace === true ? { keepsTrace: true } : {}),
        };
        child.send(order);
      };
      child.on("message", (said: "ready" | SeedResult | { seed: number; error: string }) => {
        if (said !== "ready" && !run.onResult("error" in said ? lost(said.seed, said.error) : said))
          isOver = true;
        giveNext();
      });
      child.on("exit", (code, signal) => {
        if (playing !== undefined && !run.onResult(lost(playing, `its process ended: ${signal ?? code}`)))
          isOver = true;
        // One that never came up would not the next time either.
        if (playing === undefined && code !== 0 && code !== null) isOver = true;
        resolve();
      });
    });
  }

  await Promise.all(Array.from({ length: Math.min(run.workers, run.seeds) }, work));
}
