import { z } from "zod";
import { messageLimits } from "../limits.ts";
import { ProviderKindName, ProviderSummary } from "./commands.ts";
import {
  Assignment,
  Bytes,
  Digest,
  Id,
  InstanceSummary,
  InstanceTemplate,
  StringMap,
} from "./instance-spec.ts";
import { answer, ErrorBodySchema } from "./reply.ts";

const instanceIds = { instanceIds: z.array(Id).min(1).max(messageLimits.startCountMax) };

/** Starts copies of one template here; `holders` are the nodes that are said to have the module. */
export const NodeInstanceStart = z.strictObject({
  template: InstanceTemplate,
  ...instanceIds,
  incarnation: z.int().min(1).default(1),
  holders: z.array(Id).default([]),
  wait: z.enum(["running", "accepted"]).default("running"),
});
export type NodeInstanceStart = z.infer<typeof NodeInstanceStart>;

/** What became of each of them; those that are not in `failed` did what was asked. */
export const NodeInstancesDone = answer({
  instances: z.array(InstanceSummary),
  failed: z.array(z.looseObject({ instanceId: Id, error: ErrorBodySchema })),
});
export type NodeInstancesDone = z.infer<typeof NodeInstancesDone>;

export const NodeInstances = z.strictObject({ ...instanceIds, commandId: Id.optional() });

/** What a provider asks when it has not heard of an assignment yet. */
export const NodeAssignmentQuery = z.strictObject({ instanceId: Id });
export const NodeAssignments = answer({
  instanceId: Id,
  name: Id.optional(),
  incarnation: z.int(),
  capabilities: z.array(Assignment),
});

export const NodeCapabilityAssign = z.strictObject({
  ...instanceIds,
  assignment: Assignment,
  commandId: Id.optional(),
});
export const NodeCapabilityRevoke = z.strictObject({
  ...instanceIds,
  capabilityId: Id,
  commandId: Id.optional(),
});
export const NodeCapabilityDone = answer({
  instances: z.array(Id),
  failed: z.array(z.looseObject({ instanceId: Id, error: ErrorBodySchema })),
});

/** Runs a provider in this node's process; answered once it serves calls. */
export const NodeProviderStart = z.strictObject({
  provider: Id,
  kind: ProviderKindName,
  backend: Id.optional(),
  config: StringMap.default({}),
  commandId: Id.optional(),
});
export type NodeProviderStart = z.infer<typeof NodeProviderStart>;
export const NodeProviderStop = z.strictObject({ provider: Id, commandId: Id.optional() });
export const NodeProviderUpdate = z.strictObject({
  provider: Id,
  kind: ProviderKindName.optional(),
  backend: Id.optional(),
  config: StringMap.optional(),
  commandId: Id.optional(),
});
export type NodeProviderUpdate = z.infer<typeof NodeProviderUpdate>;
export const NodeProviderDone = answer({ provider: ProviderSummary });

/** One piece of a module to be held here. */
export const NodeModulePut = z.strictObject({
  digest: Digest,
  sizeBytes: z.int().min(1),
  offset: z.int().min(0),
  bytes: Bytes,
});
export const NodeModulePutDone = answer({ complete: z.boolean() });

/** One piece of a module that is held here. */
export const NodeModuleRead = z.strictObject({
  digest: Digest,
  offset: z.int().min(0),
  length: z.int().min(1),
});
export const NodeModulePiece = answer({ bytes: Bytes, sizeBytes: z.int() });

/** Asks a node to tell its present facts again; they arrive as `node.replay`. */
export const FactReplayRequest = z.strictObject({ reason: z.string().max(256).optional() });
export const FactReplayAccepted = answer({ epoch: z.int(), seq: z.int() });
