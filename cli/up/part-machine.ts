import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { assign, type EventObject, fromCallback, sendParent, sendTo, setup } from "xstate";
import { cliLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { partReady } from "../part-ready.ts";

/** One process of a lattice on this machine. */
export interface PartInput {
  readonly id: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Whether it is one of ours, which says over an IPC channel when it is ready. */
  readonly saysWhenReady: boolean;
  /** Its stdout and stderr, appended. */
  readonly logFile: string;
}

type PartEvent = { type: "stop" } | { type: "process.ready" } | { type: "process.ended"; reason: string };

/**
 * Its own process group, so that a Ctrl-C of the terminal reaches `up` alone, which ends the parts in order; its stdin
 * is a pipe whose end tells it that `up` is gone, however that died.
 */
const runProcess = fromCallback<EventObject, PartInput>(({ input, sendBack, receive }) => {
  const log = openSync(input.logFile, "a");
  const child = spawn(input.command, [...input.args], {
    stdio: input.saysWhenReady ? ["pipe", log, log, "ipc"] : ["pipe", log, log],
    env: input.env,
    detached: true,
  });
  closeSync(log);
  let ended = false;
  const end = (reason: string) => {
    if (ended) return;
    ended = true;
    sendBack({ type: "process.ended", reason });
  };
  child.stdin?.on("error", () => undefined);
  child.once("message", () => sendBack({ type: "process.ready" }));
  child.once("error", (error) => end(error.message));
  child.once("exit", (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`));
  receive((event) => void child.kill(event.type === "kill" ? "SIGKILL" : "SIGTERM"));
  return () => {
    if (!ended) child.kill("SIGKILL");
  };
});

/**
 * Runs one process; its end is a crash unless `stop` came first.
 *
 * ```text
 * ● → running ──process.ended──▶ crashed (an error for the supervisor)
 *        └──stop──▶ stopping ──process.ended──▶ ended (final)
 *                      └──after killTimeout──▶ killing ──process.ended──▶ ended
 * ```
 */
export const partMachine = setup({
  types: {} as { context: PartInput & { reason: string }; input: PartInput; events: PartEvent },
  actors: { runProcess },
  actions: {
    remember: assign({ reason: ({ event }) => ("reason" in event ? event.reason : "") }),
    tellReady: sendParent(partReady),
    terminate: sendTo("process", { type: "terminate" }),
    kill: sendTo("process", { type: "kill" }),
    crash: ({ context }) => {
      throw new Failure("INTERNAL_ERROR", `${context.id} ended: ${context.reason}`, {
        fix: `Its log is ${context.logFile}.`,
      });
    },
  },
  delays: { killTimeout: cliLimits.partStopMs },
}).createMachine({
  id: "part",
  context: ({ input }) => ({ ...input, reason: "" }),
  invoke: { id: "process", src: "runProcess", input: ({ context }) => context },
  initial: "running",
  states: {
    running: {
      on: {
        "process.ready": { actions: "tellReady" },
        "process.ended": { target: "crashed", actions: "remember" },
        stop: "stopping",
      },
    },
    stopping: { entry: "terminate", on: { "process.ended": "ended" }, after: { killTimeout: "killing" } },
    killing: { entry: "kill", on: { "process.ended": "ended" } },
    crashed: { entry: "crash" },
    ended: { type: "final" },
  },
});
