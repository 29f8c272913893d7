import type { QuestionOf } from "../../src/bus/ask.ts";
import type { AnswerOf } from "../../src/bus/serve.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { messageLimits, proofLimits } from "../../src/limits.ts";
import { placementGrant } from "../../src/trust/placement.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { type CountingGrants, newGrantId, withoutProof } from "./signed-grants.ts";

/** Copies of one template that one node is to start. */
export interface NodeStart extends Omit<
  QuestionOf<"node.instance.start">,
  "proofs" | "placements" | "incarnation"
> {
  readonly incarnation: number;
  /** The ids of the grants that the instances had already, by instance and capability; any other grant is a new one. */
  readonly grantIds?: ReadonlyMap<string, CountingGrants["grantIds"]>;
}

/**
 * Has a node start them, with a proof of every grant of each where the lattice has roots: in more than one command where
 * the proofs would not fit one. Fails as `askNode` does, and then some of them may run.
 */
export async function startOnNode(
  desk: Desk,
  nodeId: string,
  { grantIds, ...start }: NodeStart,
  timeoutMs: number,
): Promise<AnswerOf<"node.instance.start">> {
  const size = commandSize(desk, start.template.capabilities?.length ?? 0);
  const commands = Array.from({ length: Math.ceil(start.instanceIds.length / size) }, (_, index) => ({
    ...start,
    instanceIds: start.instanceIds.slice(index * size, (index + 1) * size),
  }));
  const answers = await Promise.all(
    commands.map((command) => {
      const proofs = proofsOf(desk, nodeId, { ...command, ...(grantIds === undefined ? {} : { grantIds }) });
      const placements = placementsOf(desk, nodeId, command);
      const signed =
        proofs === undefined ? {} : { proofs, ...(placements === undefined ? {} : { placements }) };
      const question = { ...command, ...signed };
      return askNode(desk, nodeId, "node.instance.start", question, timeoutMs);
    }),
  );
  return {
    instances: answers.flatMap(({ instances }) => instances),
    failed: answers.flatMap(({ failed }) => failed),
  };
}

/** What an instance may do that is to be started again, elsewhere or in another life. */
export function grantsOf(desk: Desk, instance: InstanceView): CountingGrants {
  if (desk.grants !== undefined) return desk.grants.counting(instance);
  return {
    assignments: [...instance.assignments.values()].map(withoutProof),
    grantIds: new Map(),
    leftOut: [],
  };
}

function proofsOf(desk: Desk, nodeId: string, { template, instanceIds, incarnation, grantIds }: NodeStart) {
  const { grants } = desk;
  if (grants === undefined) return undefined;
  return instanceIds.map((instanceId) => {
    const holder = { node: nodeId, instanceId, incarnation, name: template.name ?? instanceId };
    return (template.capabilities ?? []).map(({ config = {}, ...assignment }) => {
      const grant = { ...assignment, config };
      const known = grantIds?.get(instanceId)?.get(grant.capabilityId);
      return grants.sign(holder, grant, known ?? newGrantId(undefined, instanceId, grant));
    });
  });
}

function placementsOf(desk: Desk, nodeId: string, { template, instanceIds, incarnation }: NodeStart) {
  const { grants } = desk;
  if (grants === undefined) return undefined;
  const { moduleHash, config = {} } = template;
  const assignment = placementGrant({ moduleHash, config });
  return instanceIds.map((instanceId) => {
    const holder = { node: nodeId, instanceId, incarnation, name: template.name ?? instanceId };
    return grants.sign(holder, assignment, newGrantId(undefined, instanceId, assignment));
  });
}

function commandSize({ grants }: Desk, capabilities: number): number {
  if (grants === undefined) return messageLimits.startCountMax;
  const proofsEach = capabilities + 1;
  return Math.min(messageLimits.startCountMax, Math.floor(proofLimits.proofsPerCommandMax / proofsEach));
}
