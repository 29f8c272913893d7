import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** How to start the server; without anything it is open to all, without JetStream, on a free port. */
export interface NatsServerOptions {
  readonly port?: number;
  /** The text of a configuration file, without port and address. */
  readonly config?: string;
  readonly jetstream?: boolean;
}

/** A real nats-server on the loopback address. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it in an orderly way and removes its files. */
  stop(): Promise<void>;
  /** Ends it as a crash would (SIGKILL). */
  kill(): Promise<void>;
  /** Stops it from running without closing anything (SIGSTOP). */
  freeze(): void;
  thaw(): void;
  /** Starts it again on the same port after `kill`, or kills it first; with another configuration if one is given. */
  restart(config?: string): Promise<void>;
  /** Gives it another configuration (SIGHUP) and resolves once that counts. */
  reload(config: string): Promise<void>;
}

/** Starts a server and resolves once it says that it is ready; it ends with this process at the latest. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const directory = mkdtempSync(join(tmpdir(), "nats-server-"));
  const configFile = join(directory, "nats.conf");
  writeFileSync(configFile, options.config ?? "");
  const flags = ["-a", "127.0.0.1", "-c", configFile];
  if (options.jetstream) flags.push("-js", "-sd", join(directory, "jetstream"));

  let running = await launch([...flags, "-p", String(options.port ?? -1)]);
  const { port } = running;

  async function kill(): Promise<void> {
    running.child.kill("SIGKILL");
    await running.exited;
  }

  async function stop(): Promise<void> {
    running.child.kill("SIGCONT");
    running.child.kill("SIGTERM");
    await running.exited;
    rmSync(directory, { recursive: true, force: true });
  }

  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    get pid() {
      return running.child.pid ?? 0;
    },
    stop,
    kill,
    freeze: () => void running.child.kill("SIGSTOP"),
    thaw: () => void running.child.kill("SIGCONT"),
    async restart(config) {
      await kill();
      if (config !== undefined) writeFileSync(configFile, config);
      running = await launch([...flags, "-p", String(port)]);
    },
    async reload(config) {
      writeFileSync(configFile, config);
      const reloaded = running.logged(/Reloaded server configuration/);
      running.child.kill("SIGHUP");
      await reloaded;
    },
    [Symbol.asyncDispose]: stop,
  };
}

interface RunningServer {
  readonly child: ChildProcess;
  readonly port: number;
  readonly exited: Promise<void>;
  logged(pattern: RegExp): Promise<RegExpExecArray>;
}

async function launch(args: readonly string[]): Promise<RunningServer> {
  const child = spawn("nats-server", args, { stdio: ["ignore", "ignore", "pipe"] });
  endWithUs(child);
  const lines = createInterface({ input: child.stderr });
  const seen: string[] = [];
  lines.on("line", (line) => seen.push(line));
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });

  function logged(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const onLine = (line: string) => {
        const found = pattern.exec(line);
        if (found === null) return;
        lines.off("line", onLine);
        resolve(found);
      };
      lines.on("line", onLine);
      void exited.then(() => reject(new Error(`nats-server ended:\n${seen.join("\n")}`)));
    });
  }

  const [listening] = await Promise.all([
    logged(/Listening for client connections on 127\.0\.0\.1:(\d+)/),
    logged(/Server is ready/),
  ]);
  return { child, port: Number(listening[1]), exited, logged };
}

/** Ends the child with this process. A handler of our own exit would not do: a runner that gives up on a test kills its process. */
export function endWithUs(child: ChildProcess): void {
  if (child.pid === undefined) return;
  // Its input ends when this process does, however that comes about.
  const guard = spawn("sh", ["-c", `cat; kill -KILL ${child.pid}`], { stdio: ["pipe", "ignore", "ignore"] });
  child.once("exit", () => {
    guard.kill("SIGKILL");
    guard.stdin.destroy();
  });
}
