import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { type NodeAgent, startNodeAgent } from "../../actors/node-agent/node-agent.ts";
import { createCatalog } from "../../cli/providers/catalog.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { seededChance } from "../../src/chance.ts";
import { systemClock } from "../../src/clock.ts";
import { createEtcdDirectory } from "../../src/directory/etcd.ts";
import { engineLauncher } from "../../src/wasm/engine-process.ts";
import { memoryKvProvider } from "./hosted-provider.ts";
import { type NatsServer, startNatsServer } from "./nats-server.ts";
import type { TestTrust } from "./trust.ts";

const log = pino({ level: process.env["WASMATRIX_TEST_LOG"] ?? "silent" });

/** A lattice on a real server: each part has a connection of its own, engines are processes. */
export interface TestLattice extends AsyncDisposable {
  readonly server: NatsServer;
  /** Below it each node has its directory, under its id. */
  readonly directory: string;
  /** A bare connection, for a test to speak on. */
  readonly bus: Bus;
  /** Sends a command as JSON, as the plain `nats` tool would, and gives the answer's JSON. */
  command(verb: string, payload: unknown): Promise<Answer>;
  /** Sends bytes as they are. */
  commandBytes(verb: string, payload: Uint8Array): Promise<Answer>;
  /** Calls a guest with text; a failed call gives its error. */
  call(
    target: string,
    operation: string,
    payload?: string,
    timeoutMs?: number,
  ): Promise<string | Answer["error"]>;
  /** `root` is the one that certifies its new key, on a lattice with roots. */
  controlPlane(id: string, root?: number): Promise<ControlPlane>;
  node(id: string, labels?: Record<string, string>): Promise<NodeAgent>;
  kvProvider(id: string): Promise<NodeAgent>;
}

/** Whatever a command answers; tests assert what they mean. */
export interface Answer {
  ok: boolean;
  error?: { code: string; message: string; fix?: string; details?: Record<string, unknown>; retry: string };
  // oxlint-disable-next-line typescript/no-explicit-any
  [field: string]: any;
}

/** Starts the server; control planes, nodes and providers are added by the test. */
export async function startLattice(
  given: {
    jetstream?: boolean;
    /** Whose files may be started as providers on its nodes. */
    providerModules?: string;
    /** Used by all of them, if there is one. */
    etcd?: string;
    /** Whom its parts believe; without it whoever is on the bus. */
    trust?: TestTrust;
  } = {},
): Promise<TestLattice> {
  const { etcd, trust } = given;
  const server = await startNatsServer(given.jetstream === true ? { jetstream: true } : {});
  const directory = mkdtempSync(join(tmpdir(), "wasmatrix-lattice-"));
  const ends: (() => Promise<unknown>)[] = [];
  const connect = async (name: string) => {
    const bus = await connectNats({ servers: server.url, name, connectTimeoutMs: 5_000 });
    ends.push(() => bus.close());
    return bus;
  };
  const bus = await connect("test");
  const common = { lattice: "default", clock: systemClock, chance: seededChance(1), log };

  const openDirectory = () =>
    etcd === undefined
      ? undefined
      : createEtcdDirectory({ lattice: "default", endpoints: [etcd], clock: systemClock, log });

  const agent = async (
    nodeId: string,
    options: { labels?: Record<string, string>; kv?: boolean; engine?: boolean },
  ) => {
    const modulesDirectory = join(directory, nodeId);
    const busOptions = { servers: server.url, name: nodeId, connectTimeoutMs: 5_000 };
    const launch = engineLauncher({
      lattice: "default",
      nodeId,
      bus: busOptions,
      cells: 1,
      modulesDirectory,
      clock: systemClock,
      log,
    });
    const etcdDirectory = openDirectory();
    const agentAlone = startNodeAgent({
      ...common,
      nodeId,
      bus: await connect(nodeId),
      labels: options.labels ?? {},
      modulesDirectory,
      instancesMax: 12_000,
      ...(options.engine === true ? { launchEngine: launch } : {}),
      providers: options.kv === true ? [memoryKvProvider()] : [],
      catalog: createCatalog({
        nats: busOptions,
        clock: systemClock,
        moduleDirectory: given.providerModules,
      }),
      directory: etcdDirectory,
      trust,
    });
    const stop = async (reason: string) => {
      await agentAlone.stop(reason);
      await etcdDirectory?.close();
    };
    const started = { ...agentAlone, stop };
    ends.push(() => stop("the test is over"));
    await started.ready;
    return started;
  };

  const commandBytes = async (verb: string, payload: Uint8Array) => {
    const answer = await bus.request(`wasmatrix.ctl.v1.default.${verb}`, payload, { timeoutMs: 30_000 });
    return JSON.parse(new TextDecoder().decode(answer.data)) as Answer;
  };

  return {
    server,
    directory,
    bus,
    commandBytes,
    command: (verb, payload) => commandBytes(verb, new TextEncoder().encode(JSON.stringify(payload))),
    async call(target, operation, payload = "", timeoutMs = 10_000) {
      const subject = `wasmatrix.call.v1.default.${target}.${operation}`;
      const answer = await bus.request(subject, new TextEncoder().encode(payload), { timeoutMs });
      const text = new TextDecoder().decode(answer.data);
      if (answer.header("Wasmatrix-Error-Code") === undefined) return text;
      return JSON.parse(text) as Answer["error"];
    },
    async controlPlane(controlPlaneId, root = 0) {
      const directory = openDirectory();
      const bus = await connect(controlPlaneId);
      const own = trust?.controlPlane(controlPlaneId, { root });
      const started = startControlPlane({ ...common, controlPlaneId, bus, directory, trust: own });
      ends.push(async () => {
        await started.stop();
        await directory?.close();
      });
      await started.ready;
      return started;
    },
    node: (id, labels = {}) => agent(id, { labels, engine: true }),
    kvProvider: (id) => agent(id, { kv: true }),
    async [Symbol.asyncDispose]() {
      for (const end of ends.toReversed()) await end();
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
