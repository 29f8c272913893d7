import { createActor } from "xstate";
import type { Bus, BusMessage, Subscription } from "../../src/bus/bus.ts";
import { watchLostCalls } from "../../src/bus/lost-calls.ts";
import { createRefusals } from "../../src/bus/refusals.ts";
import { serve } from "../../src/bus/serve.ts";
import type { Chance } from "../../src/chance.ts";
import { type Clock, delay } from "../../src/clock.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { createSpeaker, type Speaker } from "../../src/lattice/speaker.ts";
import { nodeLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { type ModuleCache, openModuleCache } from "../../src/modules/module-cache.ts";
import type { OciRegistry } from "../../src/modules/oci/registry.ts";
import { filterFor } from "../../src/protocol/addresses.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { assertId } from "../../src/protocol/ids.ts";
import { productVersion, protocolVersion } from "../../src/protocol/version.ts";
import type { Engine, EngineLauncher } from "../../src/wasm/engine.ts";
import { createProofKeys } from "../../src/trust/proof-keys.ts";
import { serveCapabilityCommands } from "./capability-commands.ts";
import { guardCommands } from "./command-guard.ts";
import { createEngineSeat } from "./engine-child.ts";
import { type EngineLoad, tellEngineEvent } from "./engine-facts.ts";
import { serveHeldCalls } from "./held-calls.ts";
import { serveInstanceCommands } from "./instance-commands.ts";
import { createInstanceTable, untilStopped } from "./instance-table.ts";
import { type Machine, thisMachine } from "./machine-labels.ts";
import { createModules } from "./module-commands.ts";
import { nodeAgentMachine } from "./node-agent-machine.ts";
import { engineSpec, providerChildId } from "./node-children.ts";
import type { NodeWorld } from "./node-world.ts";
import { serveProviderCommands } from "./provider-commands.ts";
import { createHostedProviders } from "./provider-host.ts";
import { askToTakeOver, serveNodeCommands } from "./node-commands.ts";
import { createRepeatedChanges } from "./repeated-changes.ts";
import { createReadiness } from "./readiness.ts";
import { createRenewals } from "./renewals.ts";
import { tellDirectory } from "./tell-directory.ts";
import { createLatticeWatch } from "../lattice-watch/lattice-watch.ts";
import { createProofs } from "../provider/proofs.ts";
import type { HostedProvider, ProviderCatalog } from "../provider/provider-kind.ts";

/** What a node is made of. */
export interface NodeAgentOptions {
  lattice: string;
  nodeId: string;
  bus: Bus;
  clock: Clock;
  chance: Chance;
  log: Log;
  labels: Record<string, string>;
  /** Where guest bytes are kept; the engine may read nothing else. */
  modulesDirectory: string;
  /** Modules that nothing runs are forgotten beyond this; 2 GiB unless given. */
  modulesBytesMax?: number;
  /** How they are kept there; on disk unless given. */
  openModules?: typeof openModuleCache;
  /** The machine that it tells of; this one unless given. */
  machine?: Machine;
  /** Where modules come from that the lattice does not hold; without it from nowhere. */
  registry?: OciRegistry;
  instancesMax: number;
  /** Absent in a process that only hosts providers. */
  launchEngine?: EngineLauncher;
  /** Those that it begins with. */
  providers: readonly HostedProvider[];
  /** What it can be told to host later; nothing without it. */
  catalog?: ProviderCatalog;
  /** Where it is told that this node is there; its caller closes it once the node has stopped. */
  directory?: Directory | undefined;
  /**
   * Public keys of those who may say who is a control plane. With them it takes no command that a control plane has not
   * signed, and its providers no grant; without them it takes what its bus delivers.
   */
  trust?: { readonly roots: readonly string[] } | undefined;
}

/** A node at work. */
export interface NodeAgent {
  readonly nodeId: string;
  /** Resolves once the node has joined, its engine is up and its providers are available; rejects when one of them fails first. */
  readonly ready: Promise<void>;
  /** Ends everything in order: instances answer what they began, providers too, and the last fact says goodbye. */
  stop(reason: string): Promise<void>;
}

/** Starts a node on that bus. The bus stays its caller's: it is not closed. */
export function startNodeAgent(options: NodeAgentOptions): NodeAgent {
  const { lattice, nodeId, bus: openBus, clock, chance, log, launchEngine, instancesMax, catalog } = options;
  const { machine = thisMachine, openModules = openModuleCache } = options;
  assertId(nodeId, "nodeId");
  const speaker = createSpeaker({
    lattice,
    nodeId,
    clock,
    publish: (subject, data) => publishQuietly(openBus, log, subject, data),
  });
  const believed = createBelieved(options, openBus, speaker);
  const bus = believed?.guard.bus ?? openBus;
  const refusals = createRefusals(clock, (refusal) => {
    log.warn({ ...refusal }, "the bus refuses this part something");
    speaker.state("bus.refused", refusal);
  });
  const seat = createEngineSeat();
  const watch = createLatticeWatch({ lattice, bus, clock, log });
  const proofs =
    believed === undefined
      ? undefined
      : createProofs({ lattice, bus, clock, log, watch, keys: believed.keys });
  const readiness = createReadiness([
    ...(launchEngine === undefined ? [] : ["engine"]),
    ...options.providers.map(({ provider }) => providerChildId(provider)),
  ]);
  const subscriptions: Subscription[] = [];
  const providerCalls = new Set<() => Iterable<BusMessage>>();
  let cache: ModuleCache | undefined;
  const openedCache = () => {
    if (cache === undefined) throw new Error("the module cache is not open yet");
    return cache;
  };
  const instances = createInstanceTable({ speaker, clock, chance, seat, cache: openedCache });
  let load: EngineLoad | undefined;
  let leaveReason = "it was told to";
  let isLeaving = false;
  let engineCrashes = 0;
  let opened: NodeWorld | undefined;
  const cpuNow = machine.createCpuMeter();
  const loadNow = () => {
    const cpu = cpuNow();
    return {
      instances: instances.size,
      rssBytes: machine.ownRssBytes() + (load?.rssBytes ?? 0),
      memoryFreeBytes: machine.memoryFreeBytes(),
      ...(refusals.total === 0 ? {} : { busRefused: refusals.total }),
      ...(cpu === undefined ? {} : { cpu }),
      ...(load === undefined ? {} : { cells: load.cells }),
    };
  };

  const providers = createHostedProviders({
    host: {
      lattice,
      nodeId,
      bus,
      clock,
      log,
      watch,
      proofs,
      inProgress: providerCalls,
      busRefused: (operation, subject) => refusals.add(operation, subject),
      dropped: (provider, instanceId, topic, count) =>
        speaker.state("provider.dropped", {
          provider,
          instanceId,
          topic,
          count,
        }),
    },
    speaker,
    first: options.providers,
    supervise: (command) => actor.send({ type: "parts.command", command }),
  });
  const children = [
    ...providers.specs,
    ...(launchEngine === undefined
      ? []
      : [
          engineSpec({
            // A node that leaves closes its engine, which must not come back for that.
            launch: (...told) =>
              isLeaving
                ? Promise.reject(new Failure("NODE_UNAVAILABLE", "the node leaves"))
                : launchEngine(...told),
            onEvent: (event) =>
              tellEngineEvent(event, { speaker, instances, refusals, onLoad: (said) => (load = said) }),
            onUp(engine) {
              speaker.state("engine.started", { pid: engine.pid, cells: engine.cells });
              seat.take(engine);
              readiness.done("engine");
            },
            onDown(reason) {
              seat.take(undefined);
              load = undefined;
              if (isLeaving && instances.size === 0) return;
              speaker.state("engine.lost", { reason, instances: instances.size });
              instances.tellAll({ type: "engine.lost" });
            },
          }),
        ]),
  ];

  const actor = createActor(nodeAgentMachine, {
    clock,
    input: {
      clock,
      chance,
      children,
      async prepare() {
        cache = await openModules({
          directory: options.modulesDirectory,
          ...(options.modulesBytesMax === undefined ? {} : { bytesMax: options.modulesBytesMax }),
        });
      },
      stateJoined: () => stateJoined(speaker, options, openedCache()),
      open() {
        const world: NodeWorld = {
          lattice,
          nodeId,
          bus,
          clock,
          log,
          speaker,
          seat,
          instances,
          changes: createRepeatedChanges(),
          instancesMax,
          renewals: believed?.renewals,
          cache: openedCache(),
          registry: options.registry,
          isLeaving: () => isLeaving,
          takesInstances: () => launchEngine !== undefined && !isLeaving && speaker.own().status === "alive",
        };
        opened = world;
        subscriptions.push(
          ...serveReplays(world),
          ...serveNodeCommands(world),
          serveHeldCalls(world, providerCalls),
        );
        if (options.providers.length > 0) watch.start();
        if (catalog !== undefined)
          subscriptions.push(
            ...serveProviderCommands({ ...world, catalog, providers, isLeaving: () => isLeaving }),
          );
        if (launchEngine === undefined) return;
        const modules = createModules(world);
        subscriptions.push(
          ...serveInstanceCommands(world, modules),
          ...serveCapabilityCommands(world),
          ...modules.serve(),
        );
      },
      beat: () => speaker.heartbeat(loadNow()),
      stateDraining() {
        isLeaving = true;
        if (speaker.own().status === "alive") speaker.state("node.draining", {});
      },
      async drain() {
        if (opened !== undefined) await askToTakeOver(opened);
        const ending = instances.ids().map(async (instanceId) => {
          const instance = instances.get(instanceId);
          instance?.send({ type: "instance.stop", reason: "its node leaves" });
          if (instance !== undefined) await untilStopped(instance);
        });
        await withDeadline(clock, Promise.allSettled(ending), nodeLimits.drainMs);
        await withDeadline(clock, closeEngine(seat.current), nodeLimits.drainMs);
      },
      async leave() {
        watch.stop();
        proofs?.stop();
        believed?.guard.end();
        for (const subscription of subscriptions) subscription.unsubscribe();
        await cache?.close();
        speaker.state("node.left", { reason: leaveReason });
        await bus
          .flush(nodeLimits.flushMs)
          .catch((error: unknown) => log.debug({ reason: String(error) }, "the goodbye may be lost"));
      },
      onChild(fact) {
        providers.heard(fact);
        if (fact.type === "child.crashed")
          log.warn({ part: fact.id, reason: fact.reason }, "a part of the node ended");
        if (fact.type !== "child.crashed" && fact.type !== "child.failed") return;
        // V8 may abort once where it would not again; whoever started the node is told when it does so each time.
        if (fact.id === "engine") engineCrashes += 1;
        if (fact.id !== "engine" || engineCrashes >= nodeLimits.engineFirstTries)
          readiness.failed(fact.id, fact.reason);
      },
    },
  });
  const forgetDirectory =
    options.directory === undefined ? undefined : tellDirectory(speaker, options.directory);
  const forgetFacts = speaker.onFact((fact) => {
    if (fact.kind === "provider.available") readiness.done(providerChildId(fact.data.provider));
  });
  const forgetStatus = bus.onStatus((status) => {
    if (status.type === "reconnected") actor.send({ type: "bus.reconnected" });
    if (status.type === "refused") refusals.add(status.operation, status.subject);
  });
  const forgetSlowCalls = watchLostCalls({ lattice, bus, clock });
  const ended = Promise.withResolvers<void>();
  actor.subscribe({
    next: (snapshot) => {
      if (snapshot.matches("present")) readiness.joined();
    },
    complete: () => ended.resolve(),
    error: (error) => {
      log.error({ reason: String(error) }, "the node agent ended");
      readiness.broken(error);
      ended.resolve();
    },
  });
  actor.start();

  return {
    nodeId,
    ready: readiness.ready,
    async stop(reason) {
      leaveReason = reason;
      if (actor.getSnapshot().status === "active") actor.send({ type: "node.drain" });
      await ended.promise;
      forgetStatus();
      forgetSlowCalls();
      forgetFacts();
      forgetDirectory?.();
      readiness.broken(new Error("the node was stopped before it was ready"));
    },
  };
}

/** What a node needs to tell control planes from others; nothing on a lattice without roots. */
function createBelieved(
  { lattice, nodeId, clock, log, trust }: NodeAgentOptions,
  bus: Bus,
  speaker: Speaker,
) {
  if (trust === undefined) return undefined;
  const keys = createProofKeys({ lattice, roots: trust.roots });
  const world = { lattice, nodeId, bus, clock, log, keys };
  return { keys, guard: guardCommands({ ...world, speaker }), renewals: createRenewals(world) };
}

function stateJoined(
  speaker: Speaker,
  { labels, launchEngine, instancesMax, catalog, machine = thisMachine }: NodeAgentOptions,
  cache: ModuleCache,
): void {
  speaker.state("node.joined", {
    productVersion,
    protocolVersion,
    ...machine.processIdentity(),
    labels: { ...labels, ...machine.machineLabels() },
    guestKinds: launchEngine === undefined ? [] : ["component", "wapc", "wasi-command", "wasi-reactor"],
    instancesMax: launchEngine === undefined ? 0 : instancesMax,
    ...(catalog === undefined ? {} : { providerKinds: [...catalog.kinds] }),
  });
  for (const [digest, sizeBytes] of cache.list()) speaker.state("module.stored", { digest, sizeBytes });
}

function serveReplays({ lattice, nodeId, bus, clock, speaker }: NodeWorld): Subscription[] {
  return [
    serve(bus, clock, "node.fact.replay", { lattice, node: nodeId }, () => speaker.tellAll()),
    bus.subscribe(filterFor("nodes.replay", { lattice }), () => void speaker.tellAll()),
  ];
}

/** Facts said while the bus is away are on record in the speaker; a replay tells them later. */
function publishQuietly(bus: Bus, log: Log, subject: string, data: Uint8Array): void {
  try {
    bus.publish(subject, data);
  } catch (error) {
    log.debug({ subject, reason: String(error) }, "a fact could not be published");
  }
}

async function closeEngine(engine: Engine | undefined): Promise<void> {
  await engine?.close().catch(() => undefined);
}

async function withDeadline(clock: Clock, work: Promise<unknown>, ms: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, delay(clock, ms, over.signal).catch(() => undefined)]);
  over.abort(new Error("in time"));
}
