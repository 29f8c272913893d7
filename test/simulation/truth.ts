import type { Fact } from "../../src/protocol/facts.ts";
import type { InstanceSpec, InstanceStatus } from "../../src/protocol/instance-spec.ts";
import type { Observation } from "./observations.ts";

/** What a node says of one instance, from that fact of its on. */
export interface InstanceTruth {
  readonly seq: number;
  readonly spec: InstanceSpec;
  readonly status: InstanceStatus;
  readonly restarts: number;
  readonly cause: string | undefined;
  readonly reason: string;
  /** The ids of its grants, sorted. */
  readonly grants: string;
  readonly yields: boolean;
}

/** One life of a node, as it tells it itself. */
export interface NodeTruth {
  readonly host: string;
  readonly epoch: number;
  seq: number;
  /** True time of its latest fact. */
  at: number;
  isAlive: boolean;
  hasLeft: boolean;
  /** Whether it takes nothing new. */
  isDraining: boolean;
  /** How many instances it takes. */
  instancesMax: number;
  /** All that was ever said of each instance, oldest first. */
  readonly instances: Map<string, InstanceTruth[]>;
  /** Status of each provider. */
  readonly providers: Map<string, string>;
}

/** What the nodes say themselves, heard or not: there is no other truth. */
export interface Truth {
  /** The present or latest life on each host. */
  readonly nodes: ReadonlyMap<string, NodeTruth>;
  /** Living copies on living nodes. */
  copiesOf(instanceId: string): { node: NodeTruth; instance: InstanceTruth }[];
  instanceIds(): Set<string>;
  see(observation: Observation): void;
}

/** The latest word on an instance. */
export function latest(node: NodeTruth, instanceId: string): InstanceTruth | undefined {
  return node.instances.get(instanceId)?.at(-1);
}

/** Whether it takes another instance. */
export function hasRoom(node: NodeTruth): boolean {
  const living = [...node.instances.keys()].filter((id) => latest(node, id)?.status !== "stopped");
  return node.isAlive && !node.isDraining && living.length < node.instancesMax;
}

/** What was true of an instance after the node's fact of that number. */
export function asOf(node: NodeTruth, instanceId: string, seq: number): InstanceTruth | undefined {
  return node.instances.get(instanceId)?.findLast((one) => one.seq <= seq);
}

/** Whether that incarnation of an instance had run there by the node's fact of that number. */
export function hasRun(node: NodeTruth, { spec }: InstanceTruth, seq: number): boolean {
  const said = node.instances.get(spec.instanceId) ?? [];
  return said.some(
    (one) => one.seq <= seq && one.spec.incarnation === spec.incarnation && one.status === "running",
  );
}

const statuses: Partial<Record<Fact["kind"], InstanceStatus>> = {
  "instance.running": "running",
  "instance.restarting": "starting",
  "instance.backing-off": "backing-off",
  "instance.gave-up": "gave-up",
  "instance.stopped": "stopped",
  "instance.crashed": "crashed",
};

/** Follows what the nodes state. */
export function followTruth(now: () => number): Truth {
  const nodes = new Map<string, NodeTruth>();

  function state(host: string, fact: Fact): void {
    let node = nodes.get(host);
    if (node === undefined || node.epoch !== fact.epoch) {
      node = {
        host,
        epoch: fact.epoch,
        seq: 0,
        at: 0,
        isAlive: true,
        hasLeft: false,
        isDraining: false,
        instancesMax: 0,
        instances: new Map(),
        providers: new Map(),
      };
      nodes.set(host, node);
    }
    node.seq = fact.seq;
    node.at = now();
    if (fact.kind === "node.joined") node.instancesMax = fact.data.instancesMax;
    if (fact.kind === "node.left") node.hasLeft = true;
    if (fact.kind === "node.draining") node.isDraining = true;
    if (fact.kind === "node.resumed") node.isDraining = false;
    if (fact.kind.startsWith("provider.") && fact.kind !== "provider.dropped") {
      const status = fact.kind.slice("provider.".length);
      node.providers.set(
        (fact.data as { provider: string }).provider,
        status === "updated" ? "available" : status,
      );
    }
    stateInstance(node, fact);
  }

  return {
    nodes,
    copiesOf(instanceId) {
      return [...nodes.values()].flatMap((node) => {
        const instance = node.isAlive ? latest(node, instanceId) : undefined;
        return instance === undefined || instance.status === "stopped" ? [] : [{ node, instance }];
      });
    },
    instanceIds: () => new Set([...nodes.values()].flatMap(({ instances }) => [...instances.keys()])),
    see(observation) {
      if (observation.type === "stated") state(observation.host, observation.fact);
      if (observation.type === "ended") {
        const node = nodes.get(observation.host);
        if (node !== undefined) node.isAlive = false;
      }
    },
  };
}

function stateInstance(node: NodeTruth, fact: Fact): void {
  const { seq } = fact;
  if (fact.kind === "instance.starting") {
    const { spec, restarts } = fact.data;
    const grants = spec.capabilities
      .map(({ capabilityId }) => capabilityId)
      .toSorted()
      .join(" ");
    say(node, {
      seq,
      spec,
      status: "starting",
      restarts,
      cause: fact.cause,
      reason: "",
      grants,
      yields: false,
    });
    return;
  }
  const { instanceId, restarts, reason } = fact.data as {
    instanceId?: string;
    restarts?: number;
    reason?: string;
  };
  const before = instanceId === undefined ? undefined : latest(node, instanceId);
  if (before === undefined) return;
  const status = statuses[fact.kind];
  if (status !== undefined)
    say(node, {
      ...before,
      seq,
      status,
      restarts: restarts ?? before.restarts,
      cause: fact.cause,
      reason: reason ?? "",
    });
  const grants = new Set(before.grants === "" ? [] : before.grants.split(" "));
  if (fact.kind === "capability.assigned") grants.add(fact.data.assignment.capabilityId);
  else if (fact.kind === "capability.revoked") grants.delete(fact.data.capabilityId);
  else if (fact.kind === "instance.yielding") {
    say(node, { ...before, seq, yields: true });
    return;
  } else return;
  say(node, { ...before, seq, grants: [...grants].toSorted().join(" ") });
}

function say(node: NodeTruth, instance: InstanceTruth): void {
  const { instanceId } = instance.spec;
  const said = node.instances.get(instanceId);
  if (said === undefined) node.instances.set(instanceId, [instance]);
  else said.push(instance);
}
