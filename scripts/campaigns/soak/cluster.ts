import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "../../../src/client/client.ts";
import { type PartProcess, startProcesses } from "../../../test/support/lattice-processes.ts";
import { startNatsServer } from "../../../test/support/nats-server.ts";
import { soakLimits } from "./limits.ts";
import { childrenOf, heldBy, isEngine } from "./sample.ts";

/** A lattice of real processes on one server with a monitor. */
export interface SoakCluster extends AsyncDisposable {
  readonly client: Client;
  readonly monitorUrl: string;
  readonly httpUrl: string;
  /** Where parts answer their probes. */
  readonly probeDirectory: string;
  /** The parts that live from beginning to end: what they hold is judged. */
  readonly lasting: readonly PartProcess[];
  /** Every process that is watched, by name, with its pid now; 0 where it is gone. */
  pids(): Map<string, number>;
  /** Ends the second control plane, by force every other time, and starts it again. */
  restartPlane(): Promise<void>;
  /** What all parts wrote. */
  logs(): Map<string, string>;
}

/** Starts a server, two control planes, a node with two cells, and a process with a kv and an http-server provider. */
export async function startSoakCluster(): Promise<SoakCluster> {
  await using stack = new AsyncDisposableStack();
  const [monitorPort, httpPort] = [await freePort(), await freePort()];
  const server = stack.use(await startNatsServer({ config: `http: "127.0.0.1:${monitorPort}"` }));
  const probeDirectory = mkdtempSync(join(tmpdir(), "wasmatrix-soak-"));
  stack.defer(() => rmSync(probeDirectory, { recursive: true, force: true }));
  const before = process.env["NODE_OPTIONS"];
  process.env["WASMATRIX_SOAK_DIRECTORY"] = probeDirectory;
  process.env["NODE_OPTIONS"] = `--import=${join(import.meta.dirname, "probe.ts")}`;
  stack.defer(() => {
    if (before === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = before;
    delete process.env["WASMATRIX_SOAK_DIRECTORY"];
  });
  const processes = stack.use(await startProcesses(server.url));
  const listen = ["--listen", `127.0.0.1:${httpPort}`];
  const [first, node, providers, second] = await Promise.all([
    processes.start("plane-1", "control-plane"),
    processes.start("node-1", "node", "--cells", "2"),
    processes.start("providers-1", "provider", "kv", "http-server", ...listen),
    processes.start("plane-2", "control-plane"),
  ]);
  const lasting = [first, node, providers];
  let plane = second;
  let restarts = 0;
  const owned = stack.move();
  return {
    client: processes.client,
    monitorUrl: `http://127.0.0.1:${monitorPort}`,
    httpUrl: `http://127.0.0.1:${httpPort}`,
    probeDirectory,
    lasting,
    pids() {
      const all = new Map(lasting.map(({ id, pid }) => [id, pid]));
      all.set("engine-1", childrenOf(node.pid).find(isEngine) ?? 0);
      all.set("plane-2", plane.pid);
      all.set("nats", server.pid);
      return all;
    },
    async restartPlane() {
      restarts += 1;
      await plane.signal(restarts % 2 === 0 ? "SIGKILL" : "SIGTERM");
      await untilGone(plane.pid);
      plane = await processes.start("plane-2", "control-plane");
    },
    logs: () => new Map([...lasting, plane].map((part) => [part.id, part.log()])),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function untilGone(pid: number): Promise<void> {
  const until = Date.now() + soakLimits.readyMs;
  while (heldBy(pid)?.rssBytes) {
    if (Date.now() > until) throw new Error(`process ${pid} does not end`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
