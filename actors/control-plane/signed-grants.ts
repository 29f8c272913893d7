import { createHash } from "node:crypto";
import { randomId } from "../../src/chance.ts";
import type { Clock } from "../../src/clock.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { proofLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import type { Assignment, ProvenAssignment } from "../../src/protocol/instance-spec.ts";
import type { SigningKey } from "../../src/trust/keys.ts";
import { type GrantHolderClaims, issueProof, type ReadProof } from "../../src/trust/proof.ts";
import type { ProofKeys } from "../../src/trust/proof-keys.ts";
import type { Revocations } from "../../src/trust/proof-revocations.ts";

/** The grants of an instance that count, and the id of each by its capability's. */
export interface CountingGrants {
  readonly assignments: readonly Assignment[];
  readonly grantIds: ReadonlyMap<string, string>;
  /** Capabilities that its node states and no control plane has signed, or that were revoked. */
  readonly leftOut: readonly string[];
}

/** Signs what instances may do, on a lattice with roots. */
export interface SignedGrants {
  /** What vouches for the key of this control plane. */
  readonly certificate: string;
  /** A proof of that grant from now on. */
  sign(holder: Omit<GrantHolderClaims, "lattice">, assignment: Assignment, grantId: string): string;
  /**
   * What facts say that an instance may do, checked before it is signed again for another node or another life: what its
   * node has invented is left out.
   */
  counting(instance: InstanceView): CountingGrants;
  /** The id of one grant of an instance; undefined where it has none that counts. */
  grantIdOf(instance: InstanceView, capabilityId: string): string | undefined;
  /** A fresh proof in the place of another one, whose end does not matter; undefined where that one does not count. */
  renew(instance: InstanceView, capabilityId: string, proof: string): string | undefined;
}

/** Makes them with that key. */
export function createSignedGrants(world: {
  lattice: string;
  clock: Clock;
  log: Log;
  key: SigningKey;
  certificate: string;
  keys: ProofKeys;
  revocations: Revocations;
}): SignedGrants {
  const { lattice, clock, log, key, certificate, keys, revocations } = world;
  // Each assignment in the view belongs to one life of one instance on one node, so that it need not be checked twice.
  const checked = new WeakMap<ProvenAssignment, ReadProof | "bad-signature">();
  const told = new WeakSet<ProvenAssignment>();

  function check(instance: InstanceView, assignment: ProvenAssignment): ReadProof | string {
    const before = checked.get(assignment);
    if (before !== undefined) return before;
    const outcome = keys.check(assignment.proof, { lattice, ...holderOf(instance), assignment });
    if (outcome !== "none" && outcome !== "unknown-key") checked.set(assignment, outcome);
    return outcome;
  }

  const sign: SignedGrants["sign"] = (holder, assignment, grantId) =>
    issueProof(
      key,
      { lattice, ...holder, assignment },
      { grantId, expiresMs: clock.now() + proofLimits.proofMs },
    );

  return {
    certificate,
    sign,
    counting(instance) {
      const assignments: Assignment[] = [];
      const grantIds = new Map<string, string>();
      const leftOut: string[] = [];
      for (const assignment of instance.assignments.values()) {
        const { capabilityId } = assignment;
        const proof = check(instance, assignment);
        if (typeof proof !== "string" && !revocations.has(proof.grantId)) {
          assignments.push(withoutProof(assignment));
          grantIds.set(capabilityId, proof.grantId);
          continue;
        }
        leftOut.push(capabilityId);
        if (told.has(assignment)) continue;
        told.add(assignment);
        const what = { node: instance.nodeId, instanceId: instance.spec.instanceId, capabilityId };
        const why = typeof proof === "string" ? proof : "revoked";
        log.warn({ ...what, why }, "a node states a grant that does not count; it is left out");
      }
      return { assignments, grantIds, leftOut };
    },
    grantIdOf(instance, capabilityId) {
      const assignment = instance.assignments.get(capabilityId);
      const proof = assignment === undefined ? "none" : check(instance, assignment);
      return typeof proof === "string" ? undefined : proof.grantId;
    },
    renew(instance, capabilityId, text) {
      const assignment = instance.assignments.get(capabilityId);
      if (assignment === undefined) return undefined;
      const holder = holderOf(instance);
      const proof = keys.check(text, { lattice, ...holder, assignment });
      if (typeof proof === "string" || revocations.has(proof.grantId)) return undefined;
      return sign(holder, assignment, proof.grantId);
    },
  };
}

/** What grants of an instance are for, as proofs name it. */
export function holderOf({ nodeId, spec }: InstanceView): Omit<GrantHolderClaims, "lattice"> {
  const { instanceId, incarnation, name = instanceId } = spec;
  return { node: nodeId, instanceId, incarnation, name };
}

/** An assignment as people see it, and as it is signed anew. */
export function withoutProof(proven: ProvenAssignment): Assignment {
  const { proof: _, ...assignment } = proven;
  return assignment;
}

/**
 * What all proofs of a new grant have in common. That of a command that is repeated is the same: whoever carries it out
 * again must not take what it made the first time for a former grant, which is over.
 */
export function newGrantId(
  commandId: string | undefined,
  instanceId: string,
  { capabilityId }: Assignment,
): string {
  if (commandId === undefined) return randomId(proofLimits.grantIdCharacters);
  const hash = createHash("sha256")
    .update(JSON.stringify([commandId, instanceId, capabilityId]))
    .digest();
  return BigInt(`0x${hash.toString("hex")}`)
    .toString(36)
    .slice(0, proofLimits.grantIdCharacters);
}
