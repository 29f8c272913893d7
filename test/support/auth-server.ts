import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { endWithUs } from "./nats-server.ts";

/** A nats-server that runs with a configuration file as it is. */
export interface ConfiguredServer extends AsyncDisposable {
  readonly pid: number;
  /** What it has said so far. */
  readonly log: readonly string[];
}

/** Runs it and resolves once it says that it is ready; rejects with its words when it ends instead. */
export async function startConfigured(configFile: string): Promise<ConfiguredServer> {
  const child = spawn("nats-server", ["-c", configFile], { stdio: ["ignore", "ignore", "pipe"] });
  endWithUs(child);
  const log: string[] = [];
  const lines = createInterface({ input: child.stderr });
  const gone = once(child, "exit");
  await new Promise<void>((resolve, reject) => {
    lines.on("line", (line) => {
      log.push(line);
      if (line.includes("Server is ready")) resolve();
    });
    void gone.then(() => reject(new Error(`nats-server ended:\n${log.join("\n")}`)));
  });
  return {
    pid: child.pid ?? 0,
    log,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await gone;
    },
  };
}
