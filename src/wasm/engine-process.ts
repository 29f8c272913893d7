import { type ChildProcess, fork } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { NatsOptions } from "../bus/nats-client.ts";
import type { Clock } from "../clock.ts";
import { engineLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import type { Log } from "../log.ts";
import type { EngineSettings, FromEngine, ToEngine } from "./engine-messages.ts";
import type { AdmittedModule, Engine, EngineLauncher, HeldAnswer } from "./engine.ts";
import { createPendingAnswers } from "./pending-answers.ts";

/** What an engine process is made with. */
export interface EngineOptions {
  lattice: string;
  nodeId: string;
  bus: NatsOptions;
  /** Threads that run guests, at least 1. */
  cells: number;
  /** The one folder that the engine may read beside the program. */
  modulesDirectory: string;
  clock: Clock;
  log: Log;
}

const program = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Launches engines as processes of their own, so that an abort of V8 ends guests and nothing else. They run under
 * Node's permission model: no file but the program and the modules, no child process.
 */
export function engineLauncher(options: EngineOptions): EngineLauncher {
  return async (onEvent, onEnd) => {
    const child = spawnEngine(options);
    const answers = createPendingAnswers("the engine");
    let closing = false;
    let lastWords = "";

    child.stderr?.setEncoding("utf8");
    child.stderr?.on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-4_096);
      options.log.warn({ component: "engine" }, text.trimEnd());
    });
    child.on("message", (message: FromEngine) => {
      if (message.type === "done") answers.done(message.id, message.value);
      else if (message.type === "refused") answers.refused(message.id, message.error);
      else onEvent(message.event);
    });
    const ended = Promise.withResolvers<void>();
    const end = (reason: string) => {
      answers.end(reason);
      ended.resolve();
      onEnd(reason);
    };
    child.once("exit", (code, signal) => end(closing ? "closed" : reasonOf(code, signal, lastWords)));
    child.once("error", (error) => {
      // Also emitted for a message that could not be sent; then `exit` follows or the process lives.
      if (child.pid === undefined) end(error.message);
    });

    const ask = <Answer>(message: (id: number) => ToEngine): Promise<Answer> =>
      answers.ask<Answer>((id) => {
        if (child.connected) child.send(message(id));
      });

    const { lattice, nodeId, bus, cells } = options;
    const settings: EngineSettings = { lattice, nodeId, bus, cells };
    const ready = await withinMs(
      options.clock,
      ask<{ cells: number }>((id) => ({ type: "settings", id, settings })),
      () => child.kill("SIGKILL"),
    );

    const engine: Engine = {
      pid: child.pid ?? 0,
      cells: ready.cells,
      admit: (digest, moduleFile, limits) =>
        ask<AdmittedModule>((id) => ({ type: "admit", id, digest, moduleFile, limits })),
      start: (spec) => ask((id) => ({ type: "start", id, spec })),
      stop: (instanceId) => ask((id) => ({ type: "stop", id, instanceId })),
      grant: (instanceId, capabilities) => ask((id) => ({ type: "grant", id, instanceId, capabilities })),
      held: (question) => ask<HeldAnswer>((id) => ({ type: "held", id, question })),
      async close() {
        closing = true;
        const timer = options.clock.setTimeout(() => child.kill("SIGKILL"), engineLimits.answerMs);
        await ask<void>((id) => ({ type: "close", id })).catch(() => undefined);
        await ended.promise;
        options.clock.clearTimeout(timer);
      },
    };
    return engine;
  };
}

function spawnEngine({ modulesDirectory, bus }: EngineOptions): ChildProcess {
  // Cells sign in, and again after each reconnect, with what the files hold by then.
  const secrets = [bus.credsFile, bus.tls?.caFile, bus.tls?.certFile, bus.tls?.keyFile];
  return fork(fileURLToPath(new URL("./engine-main.ts", import.meta.url)), [], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    execArgv: [
      "--permission",
      "--allow-worker",
      "--allow-net",
      // Stacks of suspended guests begin small, so that V8's pool holds one for each of some hundred, and grow as the
      // guest recurses (docs/decisions/0003-growing-stacks.md). Set later, flags of V8 race with its own threads.
      "--experimental-wasm-growable-stacks",
      // For the memory of guests that have ended, which V8 does not count (guests/memory-debt.ts).
      "--expose-gc",
      `--wasm-stack-switching-stack-size=${engineLimits.suspendedStackKiB}`,
      // Counts for cells too, whatever their resource limits say.
      `--max-semi-space-size=${engineLimits.semiSpaceMb}`,
      `--allow-fs-read=${program}`,
      `--allow-fs-read=${modulesDirectory}`,
      ...secrets.flatMap((file) => (file === undefined ? [] : [`--allow-fs-read=${resolve(file)}`])),
      "--disable-warning=SecurityWarning",
      "--disable-warning=ExperimentalWarning",
    ],
  });
}

function reasonOf(code: number | null, signal: string | null, lastWords: string): string {
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  // V8 says where on one line, and what on the next.
  const fatal =
    /# (Fatal error.*(?:\n# *\S.*)?|Check failed.*)/.exec(lastWords)?.[1] ??
    /FATAL ERROR: .*/.exec(lastWords)?.[0];
  return fatal === undefined ? how : `${how}: ${fatal.replaceAll(/\s*\n#\s*/g, ": ").slice(0, 200)}`;
}

function withinMs<Answer>(clock: Clock, answer: Promise<Answer>, giveUp: () => void): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(() => {
      giveUp();
      reject(new Failure("TIMEOUT", `the engine was not ready after ${engineLimits.cellReadyMs} ms`));
    }, engineLimits.cellReadyMs);
    answer.then(resolve, reject).finally(() => clock.clearTimeout(timer));
  });
}
