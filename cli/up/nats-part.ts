import { createServer } from "node:net";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failure } from "../../src/protocol/errors.ts";

/**
 * nats-server does not watch its stdin. This shell does, for it: when the pipe ends, whoever held it is gone, and the
 * server ends with it.
 */
const guarded = `
exec 3<&0
nats-server "$@" </dev/null 3<&- & server=$!
trap 'kill -TERM $server 2>/dev/null' TERM INT
( cat <&3 >/dev/null; kill -TERM $server 2>/dev/null ) & guard=$!
wait $server; code=$?
while kill -0 $server 2>/dev/null; do wait $server; code=$?; done
pkill -P $guard 2>/dev/null; kill $guard 2>/dev/null
exit $code`;

/** The command that runs the nats-server of the PATH on the loopback address, with JetStream, until its stdin ends. */
export function natsCommand(
  port: number,
  stateDirectory: string,
  /** That of a lattice with roles; without one anybody of this machine may do everything. */
  configFile: string | undefined,
): { command: string; args: string[] } {
  if (spawnSync("nats-server", ["--version"]).status !== 0) throw noServer();
  if (configFile !== undefined)
    return { command: "/bin/sh", args: ["-c", guarded, "nats-part", "-c", configFile] };
  const store = join(stateDirectory, "jetstream");
  mkdirSync(store, { recursive: true });
  const config = join(stateDirectory, "nats.conf");
  writeFileSync(
    config,
    `host: "127.0.0.1"\nport: ${port}\njetstream { store_dir: ${JSON.stringify(store)} }\n`,
  );
  return { command: "/bin/sh", args: ["-c", guarded, "nats-part", "-c", config] };
}

/** That port of the loopback address if it is free; without one the first of `usual` that is, else any. */
export async function freePort(
  flag: string,
  wanted: number | undefined,
  usual: readonly number[],
): Promise<number> {
  for (const one of wanted === undefined ? [...usual, 0] : [wanted]) {
    const port = await tryPort(one);
    if (port !== undefined) return port;
  }
  throw portTaken(flag, wanted ?? 0);
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : undefined));
    });
  });
}

function noServer(): Failure {
  return new Failure("COMMUNICATION_FAILURE", "nats-server is not on the PATH", {
    fix: "Install it (Debian: apt-get install nats-server; macOS: brew install nats-server), or use --nats with a running one and `wasmatrix node`.",
  });
}

function portTaken(flag: string, port: number): Failure {
  return new Failure("RESOURCE_EXHAUSTED", `port ${port} of 127.0.0.1 is taken`, {
    fix: `Give another ${flag}, or none to have a free one chosen.`,
    retry: "never",
  });
}
