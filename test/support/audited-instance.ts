import { auditOf } from "../../actors/control-plane/audit.ts";
import { createSpeaker, type Speaker } from "../../src/lattice/speaker.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { type Assignment, InstanceSpec } from "../../src/protocol/instance-spec.ts";
import { encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { createGrants } from "../../src/wasm/grants.ts";
import { virtualClock } from "./virtual-clock.ts";

/** One thing that a guest asks for. */
export interface AskedFor {
  readonly capabilityId: string;
  readonly providerType: string;
  readonly operation: string;
  /** Of a guest call the guest that is meant. */
  readonly target?: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** An instance on a node that speaks: what its cell notes becomes facts, and these its audit. */
export interface AuditedInstance {
  readonly speaker: Speaker;
  readonly view: InstanceView;
  /** Asks under the grants; a refusal is stated as a fact as well. Gives whether it was permitted. */
  ask(asked: AskedFor): boolean;
  audit(): ReturnType<typeof auditOf>;
}

/** Whether these grants permit it. */
export function permits(grants: readonly Assignment[], asked: AskedFor): boolean {
  return missingIn(createGrants("guest", grants), asked) === undefined;
}

/** An instance with these grants. */
export function auditedInstance(
  capabilities: readonly Assignment[],
  { audit = false, instanceId = "guest-1" } = {},
): AuditedInstance {
  const clock = virtualClock(Date.parse("2026-01-01T00:01:00.000Z"));
  const speaker = createSpeaker({ lattice: "default", nodeId: "n1", clock, publish: () => {} });
  const spec = InstanceSpec.parse({
    instanceId,
    name: "guest",
    moduleHash: `sha256:${"0".repeat(64)}`,
    capabilities,
    ...(audit ? { audit } : {}),
    commandId: "command-1",
    createdAt: "2026-01-01T00:00:00.000Z",
    incarnation: 1,
  });
  speaker.state("instance.starting", { spec, restarts: 0 });
  speaker.state("instance.running", { instanceId, restarts: 0 });
  const grants = createGrants("guest", spec.capabilities, {
    tell: (use) => speaker.state("capability.used", { instanceId, ...use }),
    isAudited: audit,
  });
  const view = () => speaker.own().instances.get(instanceId) as InstanceView;
  return {
    speaker,
    get view() {
      return view();
    },
    ask(asked) {
      const missing = missingIn(grants, asked);
      if (missing === undefined) return true;
      const { capabilityId, providerType, operation } = asked;
      for (const permission of missing) {
        const denial = { instanceId, capabilityId, providerType, operation, permission, count: 1, fix: "" };
        speaker.state("capability.denied", denial);
      }
      return false;
    },
    audit: () => auditOf([view()], { complete: true, gaps: [], asOf: "2026-01-01T00:00:00.000Z" }),
  };
}

function missingIn(grants: ReturnType<typeof createGrants>, asked: AskedFor): string[] | undefined {
  try {
    if (asked.target !== undefined) grants.checkCall(asked.target, asked.operation);
    else
      grants.check(asked.capabilityId, asked.providerType, asked.operation, encode(asked.payload, "msgpack"));
    return undefined;
  } catch (error) {
    if (error instanceof Failure && error.code === "PERMISSION_DENIED")
      return (error.details?.["permissions"] ?? [error.details?.["permission"]]) as string[];
    throw error;
  }
}
