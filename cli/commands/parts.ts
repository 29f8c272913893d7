import { availableParallelism, homedir } from "node:os";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { NatsOptions } from "../../src/bus/nats-client.ts";
import { randomId, systemChance } from "../../src/chance.ts";
import { cliLimits, nodeLimits } from "../../src/limits.ts";
import { type Part, runPart } from "../part.ts";
import { keyValue, wholeNumber } from "../parse/usage.ts";
import { runWith, type Session, type Surroundings } from "../session.ts";
import type { UpFlags } from "../up/up.ts";

/** What every part is told. */
export interface PartFlags {
  id?: string;
  endWithStdin: boolean;
}
interface NodeFlags extends PartFlags {
  label?: Record<string, string>;
  cells?: number;
  instancesMax: number;
  modules?: string;
  providerModules?: string;
}

/** Adds `up` and the parts of a lattice that it starts. What they are made of is loaded only when one is run. */
export function addParts(program: Command, surroundings: Surroundings): void {
  const part = (name: string, says: string) =>
    program
      .command(name)
      .description(says)
      .addOption(new Option("--end-with-stdin", "end when stdin does").hideHelp().default(false));
  program
    .command("up")
    .description("run a whole lattice on this machine: bus, control plane, node, providers")
    .option("--port <n>", "of the bus; 4222 if that is free, else any", wholeNumber)
    .option("--http-port <n>", "of the http server; 8080 if that is free, else the next that is", wholeNumber)
    .option("--state <directory>", "where the bus, the modules and the logs are kept")
    .option("--cells <n>", "threads that run guests")
    .action((flags: UpFlags, command: Command) =>
      runWith(surroundings, command, async (session) => {
        const { up } = await import("../up/up.ts");
        await up(session, flags);
      }),
    );
  part("control-plane", "run a control plane; any number of them may run")
    .option("--id <id>", "its name")
    .action((flags: PartFlags, command: Command) =>
      runWith(surroundings, command, (session) =>
        runPart(
          session,
          { component: "control-plane", id: flags.id ?? `cp-${randomId(6)}` },
          flags.endWithStdin,
          controlPlane,
        ),
      ),
    );
  part("node", "run a node that takes guests")
    .option("--id <id>", "its name")
    .option("--label <key=value>", "what `--require` asks for; repeatable", keyValue)
    .option("--cells <n>", "threads that run guests", wholeNumber)
    .option("--instances-max <n>", "how many it takes", wholeNumber, nodeLimits.instancesMaxDefault)
    .option("--modules <directory>", "where it keeps modules")
    .option("--provider-modules <directory>", "whose files may be started here as providers: module:<file>")
    .action((flags: NodeFlags, command: Command) =>
      runWith(surroundings, command, (session) =>
        runPart(
          session,
          { component: "node", id: flags.id ?? `node-${randomId(6)}` },
          flags.endWithStdin,
          node(flags),
        ),
      ),
    );
}

const controlPlane: Part = async ({ lattice, clock }, { id, bus, log }) => {
  const { startControlPlane } = await import("../../actors/control-plane/control-plane.ts");
  const started = startControlPlane({ lattice, controlPlaneId: id, bus, clock, chance: systemChance, log });
  return { ready: started.ready, stop: () => started.stop() };
};

function node(flags: NodeFlags): Part {
  return async (session, { id, bus, log }) => {
    const { startNodeAgent } = await import("../../actors/node-agent/node-agent.ts");
    const { createCatalog } = await import("../providers/catalog.ts");
    const { engineLauncher } = await import("../../src/wasm/engine-process.ts");
    const { lattice, clock } = session;
    const modulesDirectory = resolve(flags.modules ?? defaultModules(session, id));
    const cells = flags.cells ?? Math.max(1, availableParallelism() - 1);
    const launchEngine = engineLauncher({
      lattice,
      nodeId: id,
      bus: busOf(session, `engine of ${id}`),
      cells,
      modulesDirectory,
      clock,
      log,
    });
    const started = startNodeAgent({
      lattice,
      nodeId: id,
      bus,
      clock,
      chance: systemChance,
      log,
      labels: flags.label ?? {},
      modulesDirectory,
      instancesMax: flags.instancesMax,
      launchEngine,
      providers: [],
      catalog: createCatalog({
        nats: busOf(session, `providers of ${id}`),
        clock,
        moduleDirectory: flags.providerModules === undefined ? undefined : resolve(flags.providerModules),
      }),
    });
    return { ready: started.ready, stop: () => started.stop("its operator ended it") };
  };
}

/** The same bus for another connection: of a process of its own, or of what needs more than the port. */
export function busOf({ nats, creds }: Session, name: string): NatsOptions {
  const credentials = creds === undefined ? {} : { credsFile: creds };
  return { servers: nats.split(","), name, ...credentials, connectTimeoutMs: cliLimits.partConnectTimeoutMs };
}

/** Where a process keeps modules when nobody says. */
export function defaultModules({ env, lattice }: Session, id: string): string {
  return join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "wasmatrix", lattice, id);
}
