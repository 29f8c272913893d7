import { waitFor } from "xstate";
import type { Subscription } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import { timestamp } from "../../src/clock.ts";
import { type ErrorBody, errorBody, Failure } from "../../src/protocol/errors.ts";
import type { Assignment, ProvenAssignment } from "../../src/protocol/instance-spec.ts";
import { alive } from "./instance-commands.ts";
import type { NodeWorld } from "./node-world.ts";
import { createTurns } from "./turns.ts";

/** Serves `capability.assign`, `capability.revoke` and `capability.list` of a node. */
export function serveCapabilityCommands(world: NodeWorld): Subscription[] {
  const { lattice, nodeId, bus, clock, speaker } = world;
  const here = { lattice, node: nodeId };
  const inTurn = createTurns();

  const change = (
    instanceId: string,
    next: (present: Map<string, ProvenAssignment>) => void,
    record: () => void,
  ) =>
    inTurn(instanceId, async () => {
      const actor = alive(world, instanceId);
      // A start under way carries the old grants: wait for its end, then replace them.
      await waitFor(actor, (snapshot) => !snapshot.matches("starting") || snapshot.status !== "active");
      alive(world, instanceId);
      const grants = new Map(speaker.own().instances.get(instanceId)?.assignments);
      next(grants);
      // The engine first: whoever hears the fact or the answer may count on it being enforced.
      if (actor.getSnapshot().matches("running"))
        await world.seat.now().grant(instanceId, [...grants.values()]);
      record();
    });

  return [
    serve(
      bus,
      clock,
      "node.capability.assign",
      here,
      ({ instanceIds, assignment: bare, proofs, commandId }) =>
        each(world, instanceIds, (instanceId) => {
          const proof = proofs?.[instanceIds.indexOf(instanceId)];
          const assignment = proof === undefined ? bare : { ...bare, proof };
          return world.changes.once(commandId, instanceId, () =>
            change(
              instanceId,
              (grants) => grants.set(assignment.capabilityId, assignment),
              () => speaker.state("capability.assigned", { instanceId, assignment }, commandId),
            ),
          );
        }),
    ),
    serve(bus, clock, "node.capability.revoke", here, ({ instanceIds, capabilityId, commandId }) =>
      each(world, instanceIds, (instanceId) =>
        world.changes.once(commandId, instanceId, () =>
          change(
            instanceId,
            (grants) => {
              if (!grants.delete(capabilityId)) throw notGranted(instanceId, capabilityId, grants);
            },
            () => speaker.state("capability.revoked", { instanceId, capabilityId }, commandId),
          ),
        ),
      ),
    ),
    serve(bus, clock, "node.capability.list", here, async ({ instanceId }) => {
      alive(world, instanceId);
      const instance = speaker.own().instances.get(instanceId);
      if (instance === undefined)
        throw new Error(`the living instance ${instanceId} is not in the node's own view`);
      const { name, incarnation } = instance.spec;
      const held = { instanceId, ...(name === undefined ? {} : { name }), incarnation };
      const proven = await world.renewals?.grantsOf(instance);
      return { ...held, ...(proven ?? { capabilities: [...instance.assignments.values()] }) };
    }),
  ];
}

async function each(
  { clock }: NodeWorld,
  instanceIds: readonly string[],
  act: (instanceId: string) => Promise<void>,
): Promise<{ instances: string[]; failed: { instanceId: string; error: ErrorBody }[] }> {
  const instances: string[] = [];
  const failed: { instanceId: string; error: ErrorBody }[] = [];
  await Promise.all(
    [...new Set(instanceIds)].map((instanceId) =>
      act(instanceId).then(
        () => instances.push(instanceId),
        (error: unknown) => failed.push({ instanceId, error: errorBody(error, timestamp(clock)) }),
      ),
    ),
  );
  return { instances, failed };
}

function notGranted(instanceId: string, capabilityId: string, grants: Map<string, Assignment>): Failure {
  const has = [...grants.keys()].join(", ") || "none";
  return new Failure(
    "INVALID_REQUEST",
    `instance ${instanceId} has no grant ${capabilityId}; it has: ${has}`,
    {
      fix: "wasmatrix query shows its grants.",
    },
  );
}
