import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A process of a benchmark that answers what it is asked. */
export interface Program extends Disposable {
  readonly pid: number;
  ask<Answer>(question: unknown): Promise<Answer>;
  /** Ends it as a crash would (SIGKILL). */
  kill(): Promise<void>;
}

/** Starts a program of this folder; resolves once it says that it is ready. It ends with this process at the latest. */
export async function startProgram(file: string, args: readonly string[]): Promise<Program> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [...args], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    // As `bin/wasmatrix` starts each part.
    execArgv: ["--max-semi-space-size=8"],
  });
  await answerOf(child, file);
  return {
    pid: child.pid ?? 0,
    ask(question) {
      child.send(question as object);
      return answerOf(child, file);
    },
    async kill() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
    [Symbol.dispose]: () => void child.kill(),
  };
}

/** The other end: calls `answer` for each question of whoever started this process. */
export function answerQuestions<Question>(answer: (question: Question) => Promise<unknown>): void {
  const tell = (message: unknown) => void process.send?.(message);
  process.on("disconnect", () => process.exit(0));
  process.on("message", (question: Question) => {
    answer(question).then(
      (value) => tell({ value }),
      (error: unknown) => tell({ error: error instanceof Error ? error.message : String(error) }),
    );
  });
  tell({ value: "ready" });
}

/** User and system time of a process so far, in microseconds; Linux counts them in hundredths of a second. */
export function cpuUsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The program's name may hold anything; what follows its closing bracket does not.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

function answerOf<Answer>(child: ChildProcess, file: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`${file} ended with exit code ${code}`));
    child.once("exit", onExit);
    child.once("message", (message: { value: Answer } | { error: string }) => {
      child.off("exit", onExit);
      if ("error" in message) reject(new Error(`${file}: ${message.error}`));
      else resolve(message.value);
    });
  });
}
