import { systemClock, timestamp } from "../../src/clock.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import { InstanceSpec } from "../../src/protocol/instance-spec.ts";

/** The module that all instances of speaking nodes are of; each node says that it holds it. */
export const spokenModule = `sha256:${"ab".repeat(32)}`;

/** What a node says first. */
export function tellJoined(speaker: Speaker): void {
  speaker.state("node.joined", {
    productVersion: "0.1.0",
    protocolVersion: "1.0",
    hostname: speaker.nodeId,
    pid: process.pid,
    labels: { zone: "eu" },
    guestKinds: ["wapc"],
    instancesMax: 10_000,
  });
  speaker.state("module.stored", { digest: spokenModule, sizeBytes: 20_000 });
}

/** What a node says of an instance until it runs, one with a grant and a restart policy. */
export function tellInstance(speaker: Speaker, number: number): void {
  const instanceId = `${speaker.nodeId}-${number}`;
  const spec = InstanceSpec.parse({
    instanceId,
    name: "greeter",
    moduleHash: spokenModule,
    capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] }],
    restartPolicy: { type: "backoff" },
    commandId: "benchmark",
    createdAt: timestamp(systemClock),
    incarnation: 1,
  });
  speaker.state("instance.starting", { spec, restarts: 0 });
  speaker.state("instance.running", { instanceId, restarts: 0 });
}
