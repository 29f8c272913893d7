import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import type { Host } from "./hosts.ts";

/** One process of the campaign that is killed, frozen and started again. */
export interface Part {
  readonly id: string;
  readonly kind: PartKind;
  readonly host: Host;
  readonly isRunning: boolean;
  /** Resolves once it says that it is ready; rejects when it ends instead, or takes too long. */
  start(): Promise<void>;
  /** SIGKILL; resolves once it is gone. What it started itself is left to end by itself. */
  kill(): Promise<void>;
  /** SIGKILL to what it started: of a node, its engine. */
  killChildren(): void;
  /** SIGTERM; resolves once it is gone. */
  end(): Promise<void>;
  /** SIGSTOP to it and to what it started. */
  freeze(): void;
  thaw(): void;
  /** The last lines that it wrote. */
  logTail(lines: number): string;
}

/** What a process is for. */
export type PartKind = "server" | "plane" | "node" | "provider";

/** How a part is run. */
export interface PartOptions {
  readonly id: string;
  readonly kind: PartKind;
  readonly host: Host;
  readonly command: readonly string[];
  readonly logFile: string;
  readonly readyMs: number;
  /** For a program that does not say so over its IPC channel: what its log says when it is ready. */
  readonly readyLine?: RegExp;
}

/** A part that is not running yet. It ends with this process at the latest. */
export function createPart(options: PartOptions): Part {
  const { id, kind, host, command, logFile } = options;
  let child: ChildProcess | undefined;
  let frozen: number[] = [];
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  const gone = async () => {
    if (isRunning() && child !== undefined) await once(child, "exit");
  };

  return {
    id,
    kind,
    host,
    get isRunning() {
      return isRunning();
    },
    async start() {
      // Before it begins to write: it may be ready before we look.
      const from = readFileSync(logFile, "utf8").length;
      const log = openSync(logFile, "a");
      const [program = "", ...args] = [...host.prefix, ...command];
      const started = spawn(program, args, { stdio: ["pipe", log, log, "ipc"] });
      closeSync(log);
      child = started;
      started.stdin?.on("error", () => undefined);
      if (options.readyLine !== undefined) endWithUs(started);
      await untilReady(started, options, from);
    },
    async kill() {
      child?.kill("SIGKILL");
      await gone();
    },
    killChildren() {
      if (child?.pid !== undefined) for (const pid of descendantsOf(child.pid)) signal(pid, "SIGKILL");
    },
    async end() {
      child?.kill("SIGTERM");
      await gone();
    },
    freeze() {
      if (!isRunning() || child?.pid === undefined) return;
      frozen = [child.pid, ...descendantsOf(child.pid)];
      for (const pid of frozen) signal(pid, "SIGSTOP");
    },
    thaw() {
      for (const pid of frozen) signal(pid, "SIGCONT");
      frozen = [];
    },
    logTail: (lines) => readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n"),
  };
}

async function untilReady(child: ChildProcess, options: PartOptions, from: number): Promise<void> {
  const { id, logFile, readyLine, readyMs } = options;
  await new Promise<void>((resolve, reject) => {
    const look = setInterval(() => {
      if (readyLine?.test(readFileSync(logFile, "utf8").slice(from))) done(resolve);
    }, 20);
    const patience = setTimeout(() => fail(`is not ready after ${readyMs} ms`), readyMs);
    const onExit = () => fail("ended");
    const done = (settle: () => void) => {
      clearInterval(look);
      clearTimeout(patience);
      child.off("exit", onExit);
      settle();
    };
    const fail = (what: string) => {
      const said = readFileSync(logFile, "utf8").slice(-2_000);
      done(() => reject(new Error(`${id} ${what}:\n${said}`)));
    };
    child.once("exit", onExit);
    child.once("error", (error) => fail(error.message));
    if (readyLine === undefined) child.once("message", () => done(resolve));
  });
}

function descendantsOf(pid: number): number[] {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
    return children.flatMap((one) => [one, ...descendantsOf(one)]);
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

/** A handler of our own exit would not do: this process may be killed. */
function endWithUs(child: ChildProcess): void {
  if (child.pid === undefined) return;
  // Its input ends when this process does, however that comes about.
  const guard = spawn("sh", ["-c", `cat; kill -KILL ${child.pid}`], { stdio: ["pipe", "ignore", "ignore"] });
  guard.stdin.on("error", () => undefined);
  child.once("exit", () => {
    guard.kill("SIGKILL");
    guard.stdin.destroy();
  });
}
