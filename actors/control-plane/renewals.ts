import type { Subscription } from "../../src/bus/bus.ts";
import { type AnswerOf, serve } from "../../src/bus/serve.ts";
import { successorOf } from "../../src/lattice/view.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { ProofRenewal } from "../../src/protocol/node-commands.ts";
import type { ProofKeys } from "../../src/trust/proof-keys.ts";
import type { Desk } from "./desk.ts";
import { isOutOfReach } from "./summaries.ts";

/**
 * Answers nodes that ask for fresh proofs of grants that they have: of instances that live there as far as is known, that
 * no other copy has taken the place of, and with proofs of before that count but for their end. What is not fresh in the
 * answer the node may ask for again.
 */
export function serveRenewals(desk: Desk, keys: ProofKeys): Subscription[] {
  const { lattice, bus, clock, grants } = desk;
  if (grants === undefined) return [];

  const renew = ({ instances, certificates }: ProofRenewal, node: string): AnswerOf<"renew"> => {
    if (!desk.view.nodes.has(node) || isOutOfReach(desk, node))
      throw new Failure("NODE_NOT_FOUND", `node ${node} is not known here yet`, { retry: "later" });
    keys.learnAll(certificates);
    const proofs = instances.flatMap(({ instanceId, grants: held }) => {
      const instance = desk.view.nodes.get(node)?.instances.get(instanceId);
      if (instance === undefined || instance.status === "stopped") return [];
      if (successorOf(desk.view, node, instanceId) !== undefined) return [];
      return held.flatMap(({ capabilityId, proof: before }) => {
        const proof = grants.renew(instance, capabilityId, before);
        return proof === undefined ? [] : [{ instanceId, capabilityId, proof }];
      });
    });
    return { proofs, certificate: grants.certificate };
  };

  return [
    serve(
      bus,
      clock,
      "renew",
      { lattice },
      (request, { node = "" }) => renew(request, node),
      "control-plane",
    ),
  ];
}
