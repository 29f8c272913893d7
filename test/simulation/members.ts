import { type ControlPlane, startControlPlane } from "../../actors/control-plane/control-plane.ts";
import type { ControlPlaneTrust } from "../../actors/control-plane/signed-work.ts";
import type { Machine } from "../../actors/node-agent/machine-labels.ts";
import { type NodeAgent, startNodeAgent } from "../../actors/node-agent/node-agent.ts";
import { createProviderCatalog } from "../../actors/provider/provider-catalog.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import type { HostKind, Told, ToldView } from "./observations.ts";
import { observedKv, observedKvKind } from "./observed-kv.ts";
import type { SimulatedBus } from "./simulated-bus.ts";
import { createSimulatedEngines, type SimulatedEngines } from "./simulated-engine.ts";
import { openSimulatedModules, type SimulatedDisk } from "./simulated-modules.ts";
import type { Host } from "./simulated-network.ts";
import type { ClockError } from "./simulated-process.ts";
import { lattice, type SimulatedWorld } from "./simulated-world.ts";

/** A process of the lattice on a machine of its own; it may have many lives. */
export interface Member {
  readonly id: string;
  readonly kind: HostKind;
  readonly host: Host;
  readonly clockError: ClockError;
  /** The bus of its present life; none while it is dead. */
  readonly bus: SimulatedBus | undefined;
  /** Of a node that lives. */
  readonly engines: SimulatedEngines | undefined;
  readonly isAlive: boolean;
  begin(): void;
  kill(): void;
  /** Ends in order; it is dead once that is done. */
  leave(): void;
  /** What a control plane says now, asked on the spot; undefined for one that does not answer at once. */
  tell(withProviders: boolean): Promise<ToldView | undefined>;
}

/** What a member is made of. */
export interface MemberPlan {
  readonly id: string;
  readonly kind: HostKind;
  readonly site: number;
  readonly clockError: ClockError;
  /** Names of the kv providers that it begins with. */
  readonly providers: readonly string[];
  readonly labels: Record<string, string>;
  readonly instancesMax: number;
  /** What a control plane signs with, and the roots by which everybody checks; undefined where nothing is signed. */
  readonly trust: ControlPlaneTrust | undefined;
}

const machine: Machine = {
  machineLabels: () => ({ "wasmatrix.arch": "x64" }),
  processIdentity: () => ({ hostname: "simulated", pid: 1 }),
  memoryFreeBytes: () => 8e9,
  ownRssBytes: () => 1e8,
  createCpuMeter: () => () => 0.1,
};

/** A member that has yet to begin. */
export function createMember(world: SimulatedWorld, plan: MemberPlan): Member {
  const { id, kind, site, clockError } = plan;
  const disk: SimulatedDisk = new Map();
  const lost = { run() {}, isAlive: false } as unknown as Host["process"];
  const host: Host = {
    id,
    site,
    process: lost,
    cutUp: false,
    cutDown: false,
    slowMs: 0,
    ends: new Set(),
  };
  world.hosts.set(id, host);
  let main: SimulatedBus | undefined;
  let engines: SimulatedEngines | undefined;
  let part: NodeAgent | ControlPlane | undefined;
  let lives = 0;

  function end(how: "killed" | "left"): void {
    if (!host.process.isAlive) return;
    host.process.kill();
    for (const one of host.ends) one.drop();
    host.ends.clear();
    main = undefined;
    engines = undefined;
    part = undefined;
    world.observe({ type: "ended", host: id, kind, how });
  }

  const member: Member = {
    id,
    kind,
    host,
    clockError,
    get bus() {
      return main;
    },
    get engines() {
      return engines;
    },
    get isAlive() {
      return host.process.isAlive;
    },
    begin() {
      lives += 1;
      host.process = world.begin(clockError);
      world.observe({ type: "began", host: id, kind });
      const connected = world.connect(host);
      main = connected;
      host.process.run(() => {
        if (kind === "control-plane") part = beginControlPlane(world, plan, host, connected);
        else if (kind !== "client") {
          if (kind === "node")
            engines = createSimulatedEngines(world, host, world.chance(`engine ${id} ${lives}`));
          part = beginNode(world, plan, host, connected, { engines, disk, lives });
        }
      });
    },
    kill: () => end("killed"),
    leave() {
      const leaving = part;
      const { process } = host;
      if (leaving === undefined) return;
      process.run(() => {
        void leaving
          .stop("its operator ends it")
          .then(() => main?.bus.close())
          .then(() => {
            if (host.process === process) end("left");
          });
      });
    },
    // One that is about to end has unsubscribed.
    tell: (withProviders) => tell(main, withProviders).catch(() => undefined),
  };
  return member;
}

function beginControlPlane(
  world: SimulatedWorld,
  { id, trust }: MemberPlan,
  { process: { clock } }: Host,
  { bus }: SimulatedBus,
): ControlPlane {
  return startControlPlane({
    lattice,
    controlPlaneId: id,
    bus,
    clock,
    chance: world.chance(`control plane ${id}`),
    log: world.trace.log(id),
    processorMs: () => 0,
    trust,
  });
}

function beginNode(
  world: SimulatedWorld,
  { id, providers, labels, instancesMax, trust }: MemberPlan,
  { process: { clock } }: Host,
  { bus }: SimulatedBus,
  { engines, disk, lives }: { engines: SimulatedEngines | undefined; disk: SimulatedDisk; lives: number },
): NodeAgent {
  const agent = startNodeAgent({
    lattice,
    nodeId: id,
    bus,
    clock,
    chance: world.chance(`node ${id} ${lives}`),
    log: world.trace.log(id),
    labels,
    modulesDirectory: "",
    openModules: async () => openSimulatedModules(disk),
    machine,
    instancesMax,
    ...(engines === undefined ? {} : { launchEngine: engines.launch }),
    providers: providers.map((provider) => observedKv(world, id, provider)),
    catalog: createProviderCatalog([observedKvKind(world, id)]),
    trust,
  });
  // Whether it becomes ready is for the facts to say.
  agent.ready.catch(() => undefined);
  return agent;
}

/** Asks every list, all pages at once, for there are never more than one. */
async function tell(asked: SimulatedBus | undefined, withProviders: boolean): Promise<ToldView | undefined> {
  if (asked === undefined) return undefined;
  const lists = await Promise.all([
    list(asked, "ctl.node.list", {}),
    list(asked, "ctl.instance.list", { all: true }),
    list(asked, "ctl.capability.list", {}),
    withProviders ? list(asked, "ctl.provider.list", {}) : { ok: true, providers: [] },
  ]);
  const [nodes, instances, assignments, providers] = lists as readonly Record<string, unknown>[];
  if (!lists.every((answer) => (answer as Told)["ok"] === true)) return undefined;
  return {
    view: nodes?.["view"] as ToldView["view"],
    nodes: nodes?.["nodes"] as Told[],
    instances: instances?.["instances"] as Told[],
    assignments: assignments?.["assignments"] as Told[],
    providers: providers?.["providers"] as Told[],
  };
}

async function list(
  asked: SimulatedBus,
  name: SubjectName,
  question: object,
): Promise<Record<string, unknown>> {
  const bytes = encode(question, "msgpack");
  return decode(await asked.askDirectly(subjectFor(name, { lattice }), bytes)).value as Record<
    string,
    unknown
  >;
}
