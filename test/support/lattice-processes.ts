import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, connect } from "../../src/client/client.ts";
import type { LatticeRoles } from "./lattice-roles.ts";
import { startNatsServer } from "./nats-server.ts";
import { program } from "./program.ts";

/** One part of a lattice as a process of its own, that can be killed. */
export interface PartProcess {
  readonly id: string;
  readonly pid: number;
  /** Resolves once it says that it is ready. */
  readonly ready: Promise<void>;
  /** Sends a signal; `SIGKILL` resolves once the process is gone. */
  signal(name: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): Promise<void>;
  /** What it wrote, for a test that failed. */
  log(): string;
}

/** A lattice whose parts are real processes of the command line, on a real server. */
export interface LatticeProcesses extends AsyncDisposable {
  readonly url: string;
  readonly client: Client;
  /** Starts a part: `node`, `control-plane` or `provider kv`; an id may be used again once its process is gone. */
  start(id: string, ...args: string[]): Promise<PartProcess>;
}

/** Starts the server, or uses those of `servers`. With roles each part signs in as itself: the server knows whoever is in there by now. */
export async function startProcesses(servers?: string, roles?: LatticeRoles): Promise<LatticeProcesses> {
  const config = roles === undefined ? {} : { config: roles.config() };
  const server = servers === undefined ? await startNatsServer(config) : undefined;
  const url = servers ?? server?.url ?? "";
  const directory = mkdtempSync(join(tmpdir(), "wasmatrix-parts-"));
  const running = new Map<string, ChildProcess>();
  const signIn = (role: "operator" | "control-plane" | "node", id: string) =>
    roles === undefined ? {} : { credsFile: roles.creds(role, id) };
  const client = await connect({ servers: url, lattice: "default", ...signIn("operator", "operator") });

  const start = async (id: string, ...args: string[]): Promise<PartProcess> => {
    const logFile = join(directory, `${id}.log`);
    const log = openSync(logFile, "a");
    const where = args[0] === "node" ? ["--modules", join(directory, `modules-${id}`)] : [];
    const role = args[0] === "node" ? "node" : "control-plane";
    const { credsFile } = signIn(role, id);
    const creds = credsFile === undefined ? [] : ["--creds", credsFile];
    const child = spawn(
      program,
      ["--nats", url, ...args, "--id", id, ...where, ...creds, "--end-with-stdin"],
      { stdio: ["pipe", log, log, "ipc"] },
    );
    child.stdin?.on("error", () => undefined);
    running.set(id, child);
    const part: PartProcess = {
      id,
      pid: child.pid ?? 0,
      ready: new Promise((resolve, reject) => {
        child.once("message", () => resolve());
        child.once("exit", (code, signal) =>
          reject(new Error(`${id} ended: ${signal ?? code}\n${part.log()}`)),
        );
      }),
      async signal(name) {
        child.kill(name);
        if (name === "SIGKILL" && child.exitCode === null && child.signalCode === null)
          await once(child, "exit");
      },
      log: () => readFileSync(logFile, "utf8"),
    };
    part.ready.catch(() => undefined);
    await part.ready;
    return part;
  };

  return {
    url,
    client,
    start,
    async [Symbol.asyncDispose]() {
      await client.close();
      for (const child of running.values()) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      }
      await server?.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
