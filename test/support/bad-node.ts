import { subjectFor } from "../../src/protocol/addresses.ts";
import { serve } from "../../src/bus/serve.ts";
import { systemClock } from "../../src/clock.ts";
import { createSpeaker, type Speaker } from "../../src/lattice/speaker.ts";
import { encode } from "../../src/protocol/codec.ts";
import {
  type InstanceSpec,
  InstanceTemplate,
  type ProvenAssignment,
} from "../../src/protocol/instance-spec.ts";
import { tolerant } from "../../src/protocol/tolerant.ts";
import type { TestLattice } from "./lattice.ts";

/** A node that somebody else has taken over: it takes grants, and then says and does what its test wants. */
export interface BadNode {
  readonly speaker: Speaker;
  /** What it tells providers that ask for the grants of an instance; those of its facts unless set. */
  tells: ((instanceId: string) => readonly ProvenAssignment[]) | undefined;
  /** Says that an instance runs here with these grants. */
  claim(
    instanceId: string,
    capabilities: readonly ProvenAssignment[],
    incarnation?: number,
    change?: Partial<InstanceSpec>,
  ): void;
  /** What a control plane gave it for that instance. */
  grantsOf(instanceId: string): ProvenAssignment[];
  /** Calls the kv provider as this node; gives the code of the refusal, or `done`. */
  call(instanceId: string, operation?: "get" | "set", change?: object): Promise<string>;
}

/** Puts one on the bus of a test's lattice, where nobody keeps anybody from speaking as `nodeId`. */
export async function startBadNode(lattice: TestLattice, nodeId: string): Promise<BadNode> {
  const { bus } = lattice;
  const clock = systemClock;
  const at = { lattice: "default", node: nodeId };
  const speaker = createSpeaker({
    lattice: "default",
    nodeId,
    clock,
    publish: (subject, data) => bus.publish(subject, data),
  });
  const own = (instanceId: string) => {
    const instance = speaker.own().instances.get(instanceId);
    if (instance === undefined) throw new Error(`no ${instanceId} here`);
    return instance;
  };
  const run = (spec: Parameters<typeof speaker.state<"instance.starting">>[1]["spec"]) => {
    speaker.state("instance.starting", { spec, restarts: 0 });
    speaker.state("instance.running", { instanceId: spec.instanceId, restarts: 0 });
  };
  const templateOf = (given: unknown) => tolerant(InstanceTemplate).parse(given);

  serve(
    bus,
    clock,
    "node.instance.start",
    at,
    ({ template, instanceIds, incarnation, proofs, placements }) => {
      for (const [index, instanceId] of instanceIds.entries()) {
        const capabilities = template.capabilities.map((grant, place) => ({
          ...grant,
          proof: proofs?.[index]?.[place] ?? "",
        }));
        const placement = placements?.[index] ?? "";
        run({ ...templateOf(template), instanceId, incarnation, capabilities, placement });
      }
      const instances = instanceIds.map((instanceId) => {
        const { spec, status, restarts, since } = own(instanceId);
        const { moduleHash, createdAt } = spec;
        return { instanceId, nodeId, moduleHash, createdAt, status, incarnation, restarts, since };
      });
      return { instances, failed: [] };
    },
  );
  // The revocation is answered, and not stated.
  serve(bus, clock, "node.capability.revoke", at, ({ instanceIds }) => ({
    instances: instanceIds,
    failed: [],
  }));
  serve(bus, clock, "node.instance.yield", at, ({ instanceIds }) => ({ instances: instanceIds }));
  serve(bus, clock, "node.instance.fence", at, () => ({ instances: [], failed: [] }));
  serve(bus, clock, "node.module.put", at, ({ digest, sizeBytes }) => {
    speaker.state("module.stored", { digest, sizeBytes });
    return { complete: true };
  });
  serve(bus, clock, "node.fact.replay", at, () => speaker.tellAll());
  serve(bus, clock, "node.capability.list", at, ({ instanceId }) => ({
    instanceId,
    incarnation: own(instanceId).spec.incarnation,
    capabilities: [...(node.tells?.(instanceId) ?? own(instanceId).assignments.values())],
  }));
  speaker.state("node.joined", {
    productVersion: "0",
    protocolVersion: "1.0",
    hostname: "elsewhere",
    pid: 1,
    labels: { is: nodeId },
    guestKinds: ["wapc"],
    instancesMax: 100,
  });
  const node: BadNode = {
    speaker,
    tells: undefined,
    claim(instanceId, capabilities, incarnation = 1, change = {}) {
      const template = templateOf({
        moduleHash: `sha256:${"0".repeat(64)}`,
        commandId: "invented",
        createdAt: "2026-01-01T00:00:00.000Z",
      });
      run({ ...template, instanceId, incarnation, capabilities: [...capabilities], ...change });
    },
    grantsOf: (instanceId) => [...own(instanceId).assignments.values()],
    async call(instanceId, operation = "get", change = {}) {
      const value = operation === "set" ? { value: new Uint8Array([1]) } : {};
      const payload = encode({ key: "k", ...value }, "msgpack");
      const subject = subjectFor("cap", {
        lattice: "default",
        provider: "kv",
        callingNode: nodeId,
        operation,
      });
      const call = { instanceId, incarnation: 1, capabilityId: "store", payload, ...change };
      const answer = await bus.request(subject, encode(call, "msgpack"), { timeoutMs: 5_000 });
      return answer.header("Wasmatrix-Error-Code") ?? "done";
    },
  };
  await bus.flush();
  return node;
}
