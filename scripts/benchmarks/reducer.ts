import { systemClock } from "../../src/clock.ts";
import { applyFact } from "../../src/lattice/apply-fact.ts";
import { digestText } from "../../src/lattice/digest.ts";
import { createSpeaker, type Speaker } from "../../src/lattice/speaker.ts";
import { createView } from "../../src/lattice/view.ts";
import { decode } from "../../src/protocol/codec.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import { InstanceSpec } from "../../src/protocol/instance-spec.ts";
import type { Figure } from "./figure.ts";
import { lattice } from "./guest-engine.ts";

const factsMax = 1_000_000;
const nodes = 10;
const instancesPerNode = 1_000;
/** A busy node states some hundred facts between two heartbeats. */
const factsPerHeartbeat = 250;

/**
 * A million facts of ten nodes with a thousand instances each, as they come off the bus: starts, crashes, restarts,
 * grants, stops, and heartbeats whose digest is compared. Only `applyFact` is timed. Fails unless the view ends
 * up complete and equal to the nodes' own.
 */
export function reduceFacts(name: string): Promise<Figure> {
  const heard: Fact[] = [];
  const publish = (_subject: string, data: Uint8Array) => void heard.push(decode(data).value as Fact);
  const speakers = Array.from({ length: nodes }, (_, index) =>
    createSpeaker({ lattice, nodeId: `node-${index}`, clock: systemClock, publish }),
  );
  const view = createView(lattice);
  const tellers = speakers.map(tellLives);
  let applied = 0;
  let doubts = 0;
  let ms = 0;

  while (applied < factsMax) {
    for (const teller of tellers) for (let told = 0; told < factsPerHeartbeat; told += 1) teller.next();
    for (const speaker of speakers) speaker.heartbeat({ instances: instancesPerNode });
    const facts = heard.splice(0, Math.min(heard.length, factsMax - applied));
    const began = performance.now();
    for (const fact of facts) if (applyFact(view, fact, 0) !== undefined) doubts += 1;
    ms += performance.now() - began;
    applied += facts.length;
    if (heard.length > 0) break;
    for (const speaker of speakers) compareViews(speaker);
  }
  if (doubts > 0) throw new Error(`${doubts} facts left the view in doubt although none was missing`);
  const seconds = ms / 1_000;
  const note = `${nodes} nodes, ${nodes * instancesPerNode} instances; ${Math.round(applied / seconds)} facts/s; decoding not counted`;
  return Promise.resolve({ name, value: seconds, unit: "s", note });

  function compareViews(speaker: Speaker): void {
    const node = view.nodes.get(speaker.nodeId);
    if (node?.knowledge !== "complete" || digestText(node.digest) !== digestText(speaker.own().digest)) {
      throw new Error(`the view of ${speaker.nodeId} is not what it told`);
    }
  }
}

/** The lives of one node's instances, one fact a step, without end. */
function* tellLives(speaker: Speaker): Generator<void> {
  speaker.state("node.joined", {
    productVersion: "0.1.0",
    protocolVersion: "1.0",
    hostname: speaker.nodeId,
    pid: 1,
    labels: { zone: "eu" },
    guestKinds: ["wapc"],
    instancesMax: 12_000,
  });
  yield;
  for (let life = 0; ; life += 1) {
    const instanceId = `instance-${life % instancesPerNode}`;
    const incarnation = Math.floor(life / instancesPerNode) + 1;
    const grant = {
      capabilityId: "store",
      providerType: "kv",
      permissions: ["kv:read", "kv:write"],
      config: { bucket: "greetings" },
    };
    const spec = InstanceSpec.parse({
      instanceId,
      name: "greeter",
      moduleHash: `sha256:${"ab".repeat(32)}`,
      capabilities: [grant],
      restartPolicy: { type: "backoff" },
      commandId: `command-${life}`,
      createdAt: new Date(0).toISOString(),
      incarnation,
    });
    const at = new Date(0).toISOString();
    const crash = { reason: "trap", message: "unreachable", operation: "greet", at } as const;
    yield speaker.state("instance.starting", { spec, restarts: 0 });
    yield speaker.state("instance.running", { instanceId, restarts: 0 });
    yield speaker.state("instance.crashed", { instanceId, restarts: 0, crash });
    yield speaker.state("instance.backing-off", {
      instanceId,
      restarts: 0,
      attempt: 1,
      delayMs: 200,
      until: at,
    });
    yield speaker.state("instance.restarting", { instanceId, restarts: 1, reason: "the guest trapped" });
    yield speaker.state("instance.running", { instanceId, restarts: 1 });
    yield speaker.state("capability.assigned", {
      instanceId,
      assignment: { ...grant, permissions: ["kv:read"] },
    });
    yield speaker.state("capability.revoked", { instanceId, capabilityId: "store" });
    if (incarnation % 2 === 0)
      yield speaker.state("instance.stopped", { instanceId, restarts: 1, reason: "asked to" });
  }
}
