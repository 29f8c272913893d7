import type { Bus } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import type { Clock } from "../../src/clock.ts";
import { createSpeaker, type Speaker } from "../../src/lattice/speaker.ts";
import { filterFor } from "../../src/protocol/addresses.ts";
import { type ErrorBody, errorBody, Failure } from "../../src/protocol/errors.ts";
import { InstanceTemplate } from "../../src/protocol/instance-spec.ts";
import { tolerant } from "../../src/protocol/tolerant.ts";

/** A node without an engine: it answers node commands, and states the facts that a node would. */
export interface FakeNode {
  readonly speaker: Speaker;
  /** `verb id id …` of each command, in the order of their arrival. */
  readonly commands: string[];
  /** While set, an instance is refused with what this returns. */
  refuse: (instanceId: string) => Failure | undefined;
  /** While it is, what it states is on record with it and reaches nobody; it answers. */
  isUnheard: boolean;
  heartbeat(): void;
}

const lattice = "default";

/** Puts a node on the bus. */
export function startFakeNode(world: {
  bus: Bus;
  clock: Clock;
  nodeId: string;
  labels?: Record<string, string>;
  instancesMax?: number;
  protocolVersion?: string;
}): FakeNode {
  const { bus, clock, nodeId, labels = {}, instancesMax = 100, protocolVersion = "1.0" } = world;
  const publish = (subject: string, data: Uint8Array) => {
    if (bus.connected && !node.isUnheard) bus.publish(subject, data);
  };
  const speaker = createSpeaker({ lattice, nodeId, clock, publish });
  const own = (id: string) => speaker.own().instances.get(id);
  const received = new Map<string, number>();
  /** By which command of which instance. */
  const revoked = new Set<string>();
  const at = { lattice, node: nodeId };
  const summary = (instanceId: string) => {
    const instance = own(instanceId);
    if (instance === undefined) throw new Error(`no ${instanceId} here`);
    const { moduleHash, createdAt, incarnation, name } = instance.spec;
    const { status, since, restarts } = instance;
    return {
      instanceId,
      nodeId,
      ...(name === undefined ? {} : { name }),
      moduleHash,
      createdAt,
      incarnation,
      status,
      since,
      restarts,
    };
  };
  const each = (ids: string[], act: (id: string) => Failure | void) => {
    const done: string[] = [];
    const failed: { instanceId: string; error: ErrorBody }[] = [];
    for (const instanceId of ids) {
      const refusal = node.refuse(instanceId) ?? act(instanceId);
      if (refusal === undefined) done.push(instanceId);
      else failed.push({ instanceId, error: errorBody(refusal, new Date(clock.now()).toISOString()) });
    }
    return { done, failed };
  };
  const node: FakeNode = {
    speaker,
    commands: [],
    refuse: () => undefined,
    isUnheard: false,
    heartbeat: () => speaker.heartbeat({ instances: speaker.own().instances.size }),
  };

  serve(bus, clock, "node.instance.start", at, ({ template, instanceIds, incarnation }) => {
    node.commands.push(`start ${instanceIds.join(" ")}`);
    const { done, failed } = each(instanceIds, (instanceId) => {
      speaker.state("instance.starting", {
        spec: { ...tolerant(InstanceTemplate).parse(template), instanceId, incarnation },
        restarts: 0,
      });
      speaker.state("instance.running", { instanceId, restarts: 0 });
    });
    return { instances: done.map(summary), failed };
  });
  serve(bus, clock, "node.instance.stop", at, ({ instanceIds, commandId }) => {
    node.commands.push(`stop ${instanceIds.join(" ")}`);
    for (const instanceId of instanceIds)
      speaker.state("instance.stopped", { instanceId, restarts: 0, reason: "asked to" }, commandId);
    return { instances: instanceIds.map(summary), failed: [] };
  });
  serve(bus, clock, "node.instance.fence", at, ({ instances }) => {
    for (const { instanceId, incarnation, by } of instances) {
      node.commands.push(`fence ${instanceId} ${incarnation}`);
      speaker.state("instance.fenced", { instanceId, incarnation, by });
      speaker.state("instance.stopped", { instanceId, restarts: 0, reason: "outranked" });
    }
    return { instances: instances.map(({ instanceId }) => summary(instanceId)), failed: [] };
  });
  serve(bus, clock, "node.capability.assign", at, ({ instanceIds, assignment }) => {
    for (const instanceId of instanceIds) speaker.state("capability.assigned", { instanceId, assignment });
    return { instances: instanceIds, failed: [] };
  });
  serve(bus, clock, "node.capability.revoke", at, ({ instanceIds, capabilityId, commandId = "" }) => {
    const { done, failed } = each(instanceIds, (instanceId) => {
      if (revoked.has(`${commandId} ${instanceId}`)) return undefined;
      if (own(instanceId)?.assignments.has(capabilityId) !== true)
        return new Failure("INVALID_REQUEST", `${instanceId} has no grant ${capabilityId}`);
      speaker.state("capability.revoked", { instanceId, capabilityId });
      if (commandId !== "") revoked.add(`${commandId} ${instanceId}`);
      return undefined;
    });
    return { instances: done, failed };
  });
  serve(bus, clock, "node.module.put", at, ({ digest, sizeBytes, bytes }) => {
    const total = (received.get(digest) ?? 0) + bytes.length;
    received.set(digest, total);
    node.commands.push(`put ${bytes.length}`);
    if (total < sizeBytes) return { complete: false };
    speaker.state("module.stored", { digest, sizeBytes });
    return { complete: true };
  });
  serve(bus, clock, "node.fact.replay", at, () => speaker.tellAll());
  bus.subscribe(filterFor("nodes.replay", { lattice }), () => void speaker.tellAll());
  speaker.state("node.joined", {
    productVersion: "0.1.0",
    protocolVersion,
    hostname: "here",
    pid: 1,
    labels,
    guestKinds: ["wapc"],
    instancesMax,
  });
  return node;
}
