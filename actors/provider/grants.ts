import type { z } from "zod";
import { ask } from "../../src/bus/ask.ts";
import type { Bus } from "../../src/bus/bus.ts";
import type { Clock } from "../../src/clock.ts";
import { providerLimits } from "../../src/limits.ts";
import type { CapabilityCall } from "../../src/protocol/calls.ts";
import { decode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Assignment, ProvenAssignment } from "../../src/protocol/instance-spec.ts";
import type { NodeAssignments } from "../../src/protocol/node-commands.ts";
import { permissionFor, type PermissionSet, permissionSet } from "../../src/protocol/permissions.ts";
import { successorOf } from "../../src/lattice/view.ts";
import type { LatticeWatch } from "../lattice-watch/lattice-watch.ts";
import type { Proofs } from "./proofs.ts";

/** A grant that covers a call, and whose it is. */
export interface Grant {
  /** The name that instances share, or the instance id. */
  readonly name: string;
  readonly assignment: Assignment;
}

/** What is known of one instance's grants. */
interface Known {
  readonly name: string | undefined;
  readonly incarnation: number;
  readonly grants: readonly ProvenAssignment[];
}

/** What a provider knows of the rights of those who call it. */
export interface Grants {
  /** Throws PERMISSION_DENIED for a copy of an instance whose place another has taken. */
  refuseFenced(callingNode: string, call: CapabilityCall): void;
  /** The grant that covers the call by what the facts said, or undefined. */
  find(callingNode: string, operation: string, call: CapabilityCall): Grant | undefined;
  /** Asks the calling node first: a call may overtake the fact of its grant. PERMISSION_DENIED without one. */
  findOrAsk(callingNode: string, operation: string, call: CapabilityCall): Promise<Grant>;
  end(): void;
}

/** The grants of a provider, learned from facts and, where those are late, from the calling node itself. */
export function createGrants(world: {
  lattice: string;
  provider: string;
  providerType: string;
  bus: Bus;
  clock: Clock;
  watch: LatticeWatch;
  /** With it a grant counts only where a control plane vouches for it; without it the node's word is enough. */
  proofs: Proofs | undefined;
}): Grants {
  const { lattice, provider, providerType, bus, clock, watch, proofs } = world;
  const asked = new Map<string, Known & { until: number }>();
  const questions = new Map<string, Promise<Known>>();
  const overtaken = new Set<string>();
  const read = new WeakMap<Assignment, PermissionSet>();

  // What a fact says of an instance is newer than what its node once answered, or may just be answering.
  const forget = watch.onFact((fact) => {
    const { instanceId } = fact.data as { instanceId?: string };
    if (instanceId === undefined || asked.size + questions.size === 0) return;
    // What was used, or refused, says nothing of what is granted, and comes with the very call that is asked about.
    if (fact.kind === "capability.used" || fact.kind === "capability.denied") return;
    const key = `${fact.node} ${instanceId}`;
    asked.delete(key);
    if (questions.has(key)) overtaken.add(key);
  });

  function told(callingNode: string, instanceId: string): Known | undefined {
    const key = `${callingNode} ${instanceId}`;
    const answer = asked.get(key);
    if (answer !== undefined && answer.until > clock.now()) return answer;
    asked.delete(key);
    const instance = watch.view.nodes.get(callingNode)?.instances.get(instanceId);
    if (instance === undefined || instance.status === "stopped") return undefined;
    const { name, incarnation } = instance.spec;
    return { name, incarnation, grants: [...instance.assignments.values()] };
  }

  /** A grant that covers the call, and whose proof counts where there have to be proofs. */
  function proven(
    callingNode: string,
    known: Known | undefined,
    operation: string,
    call: CapabilityCall,
  ): Grant | undefined {
    const grant = covers(known, operation, call);
    if (grant === undefined || proofs === undefined) return grant;
    const { instanceId, incarnation } = call;
    const holder = { node: callingNode, instanceId, incarnation, name: grant.name };
    const standing = proofs.standingOf(holder, grant.assignment);
    if (standing === "due") proofs.refresh(callingNode, instanceId);
    return standing === "none" ? undefined : grant;
  }

  function covers(known: Known | undefined, operation: string, call: CapabilityCall): Grant | undefined {
    if (known === undefined || known.incarnation !== call.incarnation) return undefined;
    const assignment = known.grants.find((grant) => grant.capabilityId === call.capabilityId);
    if (assignment === undefined || assignment.providerType !== providerType) return undefined;
    if ((assignment.provider ?? assignment.providerType) !== provider) return undefined;
    if (permissionsOf(assignment).missing(operation, () => decode(call.payload).value) !== undefined)
      return undefined;
    return { name: known.name ?? call.instanceId, assignment };
  }

  function permissionsOf(assignment: Assignment): PermissionSet {
    const known = read.get(assignment) ?? permissionSet(providerType, assignment.permissions);
    read.set(assignment, known);
    return known;
  }

  function askNode(callingNode: string, instanceId: string): Promise<Known> {
    const key = `${callingNode} ${instanceId}`;
    const underWay = questions.get(key);
    if (underWay !== undefined) return underWay;
    if (questions.size >= providerLimits.questionsMax) {
      throw new Failure("RESOURCE_EXHAUSTED", "too many calls whose grants are unknown wait already", {
        retry: "later",
      });
    }
    const question = untilNotOvertaken(key, callingNode, instanceId).finally(() => {
      questions.delete(key);
      overtaken.delete(key);
    });
    questions.set(key, question);
    return question;
  }

  /** An answer and a fact that came with it cannot be told apart by their age: then the node is asked again. */
  async function untilNotOvertaken(key: string, callingNode: string, instanceId: string): Promise<Known> {
    const timeoutMs = providerLimits.assignmentQueryMs;
    const where = { lattice, node: callingNode };
    for (let tries = 0; tries < providerLimits.assignmentQueriesMax; tries += 1) {
      overtaken.delete(key);
      const answer = await ask(bus, "node.capability.list", where, { instanceId }, { timeoutMs });
      if (overtaken.has(key)) continue;
      proofs?.adopt(callingNode, answer);
      const { name, incarnation, capabilities } = answer as unknown as z.infer<typeof NodeAssignments>;
      const known = { name, incarnation, grants: capabilities };
      if (asked.size >= providerLimits.askedGrantsMax) asked.clear();
      asked.set(key, { ...known, until: clock.now() + providerLimits.askedGrantMs });
      return known;
    }
    throw new Failure(
      "TIMEOUT",
      `the grants of instance ${instanceId} change faster than they can be asked for`,
    );
  }

  return {
    refuseFenced(callingNode, { instanceId, incarnation }) {
      const successor = successorOf(watch.view, callingNode, instanceId);
      if (successor === undefined || successor.spec.incarnation <= incarnation) return;
      const { nodeId, spec } = successor;
      throw new Failure(
        "PERMISSION_DENIED",
        `incarnation ${incarnation} of ${instanceId} on node ${callingNode} is fenced: incarnation ${spec.incarnation} runs on node ${nodeId}`,
        {
          fix: "Nothing: that copy ends as soon as its node hears of it.",
          details: { instanceId, incarnation, fencedBy: { nodeId, incarnation: spec.incarnation } },
        },
      );
    },
    find: (callingNode, operation, call) =>
      proven(callingNode, told(callingNode, call.instanceId), operation, call),
    async findOrAsk(callingNode, operation, call) {
      let why = `no grant of instance ${call.instanceId} on node ${callingNode} covers it`;
      try {
        const known = await askNode(callingNode, call.instanceId);
        const grant = proven(callingNode, known, operation, call);
        if (grant !== undefined) return grant;
        if (covers(known, operation, call) !== undefined)
          why = `node ${callingNode} has no proof of that grant which counts: it was revoked, has ended, or no control plane signed it`;
      } catch (error) {
        if (error instanceof Failure && error.code === "RESOURCE_EXHAUSTED") throw error;
        why = `node ${callingNode} does not vouch for instance ${call.instanceId}`;
      }
      const permission = permissionFor(providerType, operation);
      throw new Failure(
        "PERMISSION_DENIED",
        `${call.capabilityId}.${operation} on provider ${provider}: ${why}`,
        {
          fix: `wasmatrix assign ${call.instanceId} ${call.capabilityId}=${permission ?? `${providerType}:…`}`,
          details: {
            capabilityId: call.capabilityId,
            provider,
            operation,
            ...(permission === undefined ? {} : { permission }),
          },
        },
      );
    },
    end: forget,
  };
}
