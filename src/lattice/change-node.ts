import { proofLimits, viewLimits } from "../limits.ts";
import type { Fact, ProviderInfo } from "../protocol/facts.ts";
import type { InstanceStatus } from "../protocol/instance-spec.ts";
import { auditFact } from "./audit.ts";
import { forget } from "./digest.ts";
import { shareParts } from "./share-parts.ts";
import type { InstanceView, NodeView, ProviderView } from "./view.ts";

/** What each kind of fact changes in its node's part of the view. */
export function changeNode(node: NodeView, fact: Fact): void {
  switch (fact.kind) {
    case "node.joined":
      node.joined = fact.data;
      return;
    case "node.draining":
      node.status = "draining";
      return;
    case "node.resumed":
      node.status = "alive";
      return;
    case "node.labelled":
      if (node.joined !== undefined) node.joined = { ...node.joined, labels: fact.data.labels };
      return;
    case "node.left":
      node.status = "left";
      return;
    case "node.trusted":
      // A node that states one after the other must not fill the memory of those who listen.
      if (node.certificates.size < proofLimits.certificatesMax) node.certificates.add(fact.data.certificate);
      return;
    case "instance.starting":
      startInstance(node, fact.data.spec, fact.data.restarts, fact.at);
      return;
    case "instance.running":
      return changeStatus(node, fact, "running", undefined);
    case "instance.restarting":
      return changeStatus(node, fact, "starting", fact.data.reason);
    case "instance.backing-off": {
      changeStatus(node, fact, "backing-off", undefined);
      const { instanceId, attempt, delayMs, until } = fact.data;
      const instance = node.instances.get(instanceId);
      if (instance !== undefined) instance.backoff = { attempt, delayMs, until };
      return;
    }
    case "instance.gave-up":
      return changeStatus(node, fact, "gave-up", fact.data.reason);
    case "instance.stopped":
      return changeStatus(node, fact, "stopped", fact.data.reason);
    case "instance.yielding": {
      const instance = node.instances.get(fact.data.instanceId);
      if (instance !== undefined) instance.yields = true;
      return;
    }
    case "instance.crashed": {
      const instance = node.instances.get(fact.data.instanceId);
      if (instance !== undefined) instance.lastCrash = fact.data.crash;
      return changeStatus(node, fact, "crashed", fact.data.crash.message);
    }
    case "capability.assigned":
      return changeGrants(node, fact.data.instanceId, (instance) =>
        instance.assignments.set(fact.data.assignment.capabilityId, fact.data.assignment),
      );
    case "capability.revoked":
      return changeGrants(node, fact.data.instanceId, (instance) =>
        instance.assignments.delete(fact.data.capabilityId),
      );
    case "capability.used":
    case "capability.denied": {
      const instance = node.instances.get(fact.data.instanceId);
      if (instance !== undefined) auditFact(instance, fact);
      return;
    }
    case "provider.starting":
      return changeProvider(node, fact, "starting", undefined);
    case "provider.available":
      return changeProvider(node, fact, "available", undefined);
    case "provider.updated":
      return changeProvider(node, fact, "available", undefined);
    case "provider.unwell":
      return changeProvider(node, fact, "unwell", fact.data.reason);
    case "provider.draining":
      return changeProvider(node, fact, "draining", undefined);
    case "provider.failed":
      return changeProvider(node, fact, "failed", fact.data.reason);
    case "provider.gave-up":
      return changeProvider(node, fact, "gave-up", fact.data.reason);
    case "provider.stopped":
      return changeProvider(node, fact, "stopped", fact.data.reason);
    case "module.stored":
      node.modules.set(fact.data.digest, fact.data.sizeBytes);
      return;
    case "module.evicted":
      node.modules.delete(fact.data.digest);
      return;
    case "node.heartbeat":
    case "instance.relocated":
    case "instance.fenced":
    case "module.admitted":
    case "module.refused":
    case "provider.dropped":
    case "command.refused":
    case "bus.refused":
    case "engine.started":
    case "engine.lost":
    case "cell.lost":
      return;
  }
}

type InstanceFact = Extract<Fact, { data: { instanceId: string; restarts: number } }>;

function changeStatus(
  node: NodeView,
  fact: InstanceFact,
  status: InstanceStatus,
  reason: string | undefined,
): void {
  const instance = node.instances.get(fact.data.instanceId);
  if (instance === undefined) return;
  if (status === "stopped" && instance.status !== "stopped") retire(node, fact.data.instanceId);
  instance.status = status;
  instance.since = fact.at;
  instance.restarts = fact.data.restarts;
  instance.reason = reason;
  instance.cause = fact.cause;
  instance.backoff = undefined;
  node.digest.changed.add(instance);
}

function startInstance(node: NodeView, spec: InstanceView["spec"], restarts: number, at: string): void {
  const former = node.instances.get(spec.instanceId);
  if (former !== undefined) {
    forget(node.digest, former);
    if (former.status === "stopped") node.stopped.splice(node.stopped.indexOf(spec.instanceId), 1);
  }
  shareParts(spec, node.latestSpec);
  node.latestSpec = spec;
  const instance: InstanceView = {
    nodeId: node.nodeId,
    spec,
    assignments: new Map(spec.capabilities.map((grant) => [grant.capabilityId, grant])),
    status: "starting",
    since: at,
    restarts,
    lastCrash: undefined,
    reason: undefined,
    cause: undefined,
    backoff: undefined,
    yields: false,
    share: [0, 0],
  };
  node.instances.set(spec.instanceId, instance);
  node.digest.changed.add(instance);
}

function retire(node: NodeView, instanceId: string): void {
  node.stopped.push(instanceId);
  if (node.stopped.length <= viewLimits.stoppedInstancesMax) return;
  const oldest = node.stopped.shift();
  const instance = oldest === undefined ? undefined : node.instances.get(oldest);
  if (instance === undefined) return;
  forget(node.digest, instance);
  node.instances.delete(instance.spec.instanceId);
}

function changeGrants(node: NodeView, instanceId: string, apply: (instance: InstanceView) => void): void {
  const instance = node.instances.get(instanceId);
  if (instance === undefined) return;
  apply(instance);
  node.digest.changed.add(instance);
}

type ProviderFact = Extract<Fact, { data: ProviderInfo }>;

function changeProvider(
  node: NodeView,
  fact: ProviderFact,
  status: ProviderView["status"],
  reason: string | undefined,
): void {
  // Fields of a newer minor version stay with it.
  const { reason: _, ...info } = fact.data as ProviderFact["data"] & { reason?: string };
  node.providers.set(info.provider, {
    nodeId: node.nodeId,
    info,
    status,
    since: fact.at,
    reason,
  });
}
