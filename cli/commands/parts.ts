import { availableParallelism, homedir } from "node:os";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { ControlPlaneTrust } from "../../actors/control-plane/signed-work.ts";
import type { NodeAgent } from "../../actors/node-agent/node-agent.ts";
import type { NatsOptions } from "../../src/bus/nats-client.ts";
import { randomId, systemChance } from "../../src/chance.ts";
import type { Clock } from "../../src/clock.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { cliLimits, nodeLimits } from "../../src/limits.ts";
import type { Credentials } from "../../src/protocol/credentials.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { busOptionsOf } from "../auth/sign-in.ts";
import { directoryOf } from "../open-directory.ts";
import { type Part, runPart } from "../part.ts";
import { bytesOf, ids, keyValue, wholeNumber, words } from "../parse/usage.ts";
import { runWith, type Session, type Surroundings } from "../session.ts";
import type { UpFlags } from "../up/up.ts";

/** What every part is told. */
export interface PartFlags {
  id?: string;
  etcd?: string;
  endWithStdin: boolean;
}
interface ControlPlaneFlags extends PartFlags {
  expectNodes?: string[];
}
interface NodeFlags extends PartFlags {
  label?: Record<string, string>;
  cells?: number;
  instancesMax: number;
  modules?: string;
  providerModules?: string;
  modulesMax?: number;
  registryCredentials?: string;
  insecureRegistry?: string[];
}

/** What `--etcd` is for, wherever it stands. */
export const etcdSays =
  "where others look up who is there, for example http://127.0.0.1:2379; several with commas";

/** Adds `up` and the parts of a lattice that it starts. What they are made of is loaded only when one is run. */
export function addParts(program: Command, surroundings: Surroundings): void {
  const part = (name: string, says: string) =>
    program
      .command(name)
      .description(says)
      .option("--etcd <urls>", etcdSays)
      .addOption(new Option("--end-with-stdin", "end when stdin does").hideHelp().default(false));
  program
    .command("up")
    .description("run a whole lattice on this machine: bus, control plane, node, providers")
    .option("--port <n>", "of the bus; 4222 if that is free, else any", wholeNumber)
    .option("--http-port <n>", "of the http server; 8080 if that is free, else the next that is", wholeNumber)
    .option("--state <directory>", "where the bus, the modules and the logs are kept")
    .option("--cells <n>", "threads that run guests")
    .option("--open", "without roles: whoever reaches the bus may do everything")
    .option("--etcd <urls>", etcdSays)
    .action((flags: UpFlags, command: Command) =>
      runWith(surroundings, command, async (session) => {
        const { up } = await import("../up/up.ts");
        await up(session, flags);
      }),
    );
  part("control-plane", "run a control plane; any number of them may run")
    .option("--id <id>", "its name")
    .option(
      "--expect-nodes <ids>",
      "nodes that there should be, with commas: without one its view has a gap",
      ids,
    )
    .action((flags: ControlPlaneFlags, command: Command) =>
      runWith(surroundings, command, (session) =>
        runPart(
          session,
          command.optsWithGlobals(),
          { component: "control-plane", id: flags.id, idOtherwise: `cp-${randomId(6)}` },
          flags.endWithStdin,
          controlPlane(flags),
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
    .option("--modules-max <size>", "what they may take there, such as 2GiB; what runs stays anyway", bytesOf)
    .option("--registry-credentials <file>", "for oci:// modules, in the form of docker's config.json")
    .option("--insecure-registry <host>", "may be spoken to in plain HTTP, with its port; repeatable", words)
    .action((flags: NodeFlags, command: Command) =>
      runWith(surroundings, command, (session) =>
        runPart(
          session,
          command.optsWithGlobals(),
          { component: "node", id: flags.id, idOtherwise: `node-${randomId(6)}` },
          flags.endWithStdin,
          node(flags),
        ),
      ),
    );
}

function controlPlane({ etcd, expectNodes }: ControlPlaneFlags): Part {
  const openDirectory = directoryOf(etcd);
  return async ({ lattice, clock }, { id, bus, log, credentials }) => {
    const directory = await openDirectory({ lattice, clock, log });
    const { startControlPlane } = await import("../../actors/control-plane/control-plane.ts");
    const chance = systemChance;
    const started = startControlPlane({
      lattice,
      controlPlaneId: id,
      bus,
      clock,
      chance,
      log,
      directory,
      expectNodes,
      trust: controlPlaneTrust(credentials),
    });
    return { ready: started.ready, stop: () => ending(() => started.stop(), directory) };
  };
}

function node(flags: NodeFlags): Part {
  const openDirectory = directoryOf(flags.etcd);
  return async (session, { id, bus, log, credentials }) => {
    const { startNodeAgent } = await import("../../actors/node-agent/node-agent.ts");
    const { createCatalog } = await import("../providers/catalog.ts");
    const { engineLauncher } = await import("../../src/wasm/engine-process.ts");
    const { lattice, clock } = session;
    const directory = await openDirectory({ lattice, clock, log });
    const registry = await openRegistry(flags, clock);
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
      registry,
      trust: credentials,
      ...(flags.modulesMax === undefined ? {} : { modulesBytesMax: flags.modulesMax }),
      providers: [],
      catalog: createCatalog({
        nats: busOf(session, `providers of ${id}`, "application"),
        credentials,
        clock,
        moduleDirectory: flags.providerModules === undefined ? undefined : resolve(flags.providerModules),
      }),
      directory,
    });
    return { ready: started.ready, stop: () => stopNode(started, directory) };
  };
}

/** INVALID_REQUEST for credentials with which nodes would refuse all that it tells them. */
function controlPlaneTrust(credentials: Credentials | undefined): ControlPlaneTrust | undefined {
  if (credentials === undefined) return undefined;
  const { roots, signing } = credentials;
  if (signing !== undefined) return { roots, signing };
  throw new Failure(
    "INVALID_REQUEST",
    "these credentials hold nothing that a control plane could sign with",
    {
      fix: "Make some that do: wasmatrix auth add control-plane <id>",
    },
  );
}

/** A node whose credentials cannot be read says so when it starts, not when a module is wanted. */
async function openRegistry({ registryCredentials, insecureRegistry }: NodeFlags, clock: Clock) {
  const { createOciRegistry } = await import("../../src/modules/oci/registry.ts");
  const { readCredentials } = await import("../../src/modules/oci/credentials.ts");
  if (registryCredentials !== undefined) await readCredentials(registryCredentials);
  return createOciRegistry({ clock, credentialsFile: registryCredentials, insecureHosts: insecureRegistry });
}

/** Ends a node, and then the directory that it was told to. */
export function stopNode(node: NodeAgent, directory: Directory | undefined): Promise<void> {
  return ending(() => node.stop("its operator ended it"), directory);
}

/** The directory is closed after the part, also when that did not end as it should. */
async function ending(stop: () => Promise<void>, directory: Directory | undefined): Promise<void> {
  try {
    await stop();
  } finally {
    await directory?.close();
  }
}

/** The same bus for another connection: of a process of its own, or of what needs more than the port. */
export function busOf(session: Session, name: string, user: "nats" | "application" = "nats"): NatsOptions {
  return { ...busOptionsOf(session, user), name, connectTimeoutMs: cliLimits.partConnectTimeoutMs };
}

/** Where a process keeps modules when nobody says. */
export function defaultModules({ env, lattice }: Session, id: string): string {
  return join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "wasmatrix", lattice, id);
}
