import { startNodeAgent } from "../../../actors/node-agent/node-agent.ts";
import { connectNats } from "../../../src/bus/nats-bus.ts";
import { createMemoryKv } from "../../../src/capabilities/kv/memory.ts";
import { systemChance } from "../../../src/chance.ts";
import { systemClock } from "../../../src/clock.ts";
import { nodeLimits } from "../../../src/limits.ts";
import { createLog } from "../../../src/log.ts";
import { engineLauncher } from "../../../src/wasm/engine-process.ts";
import { lattice } from "../guest-engine.ts";
import { answerQuestions } from "../program.ts";

// A node as `wasmatrix node` runs it, or, told `kv`, a process that hosts that provider alone.

const [url = "", nodeId = "", modulesDirectory = "", hosts = "guests", roots] = process.argv.slice(2);
const busOptions = { servers: url, name: `benchmark-${nodeId}`, connectTimeoutMs: 5_000 };
const bus = await connectNats(busOptions);
const log = createLog({ component: "node", lattice, node: nodeId }, { level: "warn", pretty: false });
const clock = systemClock;
const memoryKv = {
  provider: "kv",
  kind: "kv",
  providerType: "kv",
  backend: "memory",
  config: {},
  create: async () => createMemoryKv(),
};
const node = startNodeAgent({
  lattice,
  nodeId,
  bus,
  clock,
  chance: systemChance,
  log,
  labels: {},
  modulesDirectory,
  instancesMax: nodeLimits.instancesMaxDefault,
  trust: roots === undefined ? undefined : { roots: roots.split(",") },
  providers: hosts === "kv" ? [memoryKv] : [],
  ...(hosts === "kv"
    ? {}
    : {
        launchEngine: engineLauncher({
          lattice,
          nodeId,
          bus: busOptions,
          cells: 1,
          modulesDirectory,
          clock,
          log,
        }),
      }),
});
await node.ready;
answerQuestions(() => Promise.resolve());
