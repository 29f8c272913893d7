import { ask } from "../../src/bus/ask.ts";
import type { Bus } from "../../src/bus/bus.ts";
import type { Clock } from "../../src/clock.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { proofLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { ProvenAssignment } from "../../src/protocol/instance-spec.ts";
import { readProof } from "../../src/trust/proof.ts";
import type { ProofKeys } from "../../src/trust/proof-keys.ts";

/** The proofs of a node's grants, kept fresh for those who ask for them. */
export interface Renewals {
  /**
   * What an instance of this node may do, with proofs that a control plane has renewed where half of their time is over
   * and one could be reached; else with those that there are. Never rejects.
   */
  grantsOf(instance: InstanceView): Promise<{ capabilities: ProvenAssignment[]; certificates: string[] }>;
}

/** Renews for that node. Renewed proofs are no facts: the grants are what they were. */
export function createRenewals(world: {
  lattice: string;
  nodeId: string;
  bus: Bus;
  clock: Clock;
  log: Log;
  keys: ProofKeys;
}): Renewals {
  const { lattice, nodeId, bus, clock, log, keys } = world;
  // Both go with the instance: a later life of it, or another grant, is another object.
  const renewed = new WeakMap<ProvenAssignment, string>();
  const attempts = new WeakMap<InstanceView, { readonly atMs: number; readonly done: Promise<void> }>();
  const proofOf = (assignment: ProvenAssignment) => renewed.get(assignment) ?? assignment.proof;

  async function renew({ spec: { instanceId }, assignments }: InstanceView): Promise<void> {
    const grants = [...assignments.values()].flatMap((assignment) => {
      const proof = proofOf(assignment);
      return proof === undefined ? [] : [{ capabilityId: assignment.capabilityId, proof }];
    });
    const certificates = keys.certificatesOf(grants.map(({ proof }) => proof));
    const question = { instances: [{ instanceId, grants }], certificates };
    try {
      const options = { timeoutMs: proofLimits.renewMs };
      const answer = await ask(bus, "renew", { lattice, node: nodeId }, question, options);
      keys.learn(answer.certificate);
      for (const { capabilityId, proof } of answer.proofs) {
        const assignment = assignments.get(capabilityId);
        // Another grant may have come in its place meanwhile.
        if (assignment !== undefined && grantIdOf(proof) === grantIdOf(assignment.proof))
          renewed.set(assignment, proof);
      }
    } catch (error) {
      log.debug({ instanceId, reason: asFailure(error).message }, "proofs were not renewed");
    }
  }

  function isDue({ assignments }: InstanceView): boolean {
    const half = clock.now() + proofLimits.proofMs / 2;
    return [...assignments.values()].some((assignment) => {
      const proof = readProof(proofOf(assignment));
      return proof !== undefined && proof.expiresMs < half;
    });
  }

  return {
    async grantsOf(instance) {
      if (isDue(instance)) {
        const before = attempts.get(instance);
        const isRecent = before !== undefined && clock.now() - before.atMs < proofLimits.renewEveryMs;
        const attempt = isRecent ? before : { atMs: clock.now(), done: renew(instance) };
        attempts.set(instance, attempt);
        await attempt.done;
      }
      const capabilities = [...instance.assignments.values()].map((assignment) => {
        const proof = proofOf(assignment);
        return proof === undefined ? assignment : { ...assignment, proof };
      });
      return { capabilities, certificates: keys.certificatesOf(capabilities.map(({ proof }) => proof)) };
    },
  };
}

function grantIdOf(proof: string | undefined): string | undefined {
  return readProof(proof)?.grantId;
}
