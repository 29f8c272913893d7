import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { endWithUs } from "./nats-server.ts";

/** How to start the server. */
export interface RedisServerOptions {
  /** Further arguments, such as `--requirepass secret`. */
  readonly flags?: readonly string[];
}

/** A real redis-server on the loopback address that keeps nothing on disk. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
  /** Ends it and starts it again on the same port, empty. */
  restart(): Promise<void>;
}

/** Starts a server and resolves once it says that it is ready; it ends with this process at the latest. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), "redis-server-"));
  const port = await freePort();
  const flags = ["--bind", "127.0.0.1", "--port", String(port), "--dir", directory, "--save", ""];
  let running = await launch([...flags, ...(options.flags ?? [])]);

  async function end(): Promise<void> {
    running.child.kill("SIGKILL");
    await running.exited;
  }

  async function stop(): Promise<void> {
    await end();
    rmSync(directory, { recursive: true, force: true });
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    stop,
    async restart() {
      await end();
      running = await launch([...flags, ...(options.flags ?? [])]);
    },
    [Symbol.asyncDispose]: stop,
  };
}

async function launch(
  args: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly exited: Promise<void> }> {
  const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "ignore"] });
  endWithUs(child);
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  const seen: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      seen.push(line);
      if (line.includes("Ready to accept connections")) resolve();
    });
    void exited.then(() => reject(new Error(`redis-server ended:\n${seen.join("\n")}`)));
  });
  return { child, exited };
}

/** Redis does not choose one itself. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
