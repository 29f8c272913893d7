import { z } from "zod";
import { messageLimits } from "../limits.ts";
import { FactSchema, factKinds } from "./facts.ts";
import {
  Assignment,
  Bytes,
  Digest,
  Id,
  InstanceDetail,
  InstanceLimits,
  InstanceSummary,
  InstanceTemplate,
  LabelName,
  OciSource,
  RestartPolicy,
  StringMap,
} from "./instance-spec.ts";
import { answer, ErrorBodySchema, ViewStatus } from "./reply.ts";

const commandId = { commandId: Id.optional() };

/** One instance by id, or all that share a name. */
const target = { instanceId: Id.optional(), name: Id.optional() };
const oneTarget = (request: { instanceId?: string | undefined; name?: string | undefined }) =>
  (request.instanceId === undefined) !== (request.name === undefined);
const oneTargetMessage = { message: "give either instanceId or name" };
const atMostOneTarget = (request: { instanceId?: string | undefined; name?: string | undefined }) =>
  request.instanceId === undefined || request.name === undefined;

const page = {
  limit: z.int().min(1).max(messageLimits.listPageMax).optional(),
  after: z.string().optional(),
};
const paged = { next: z.string().optional(), view: ViewStatus };

export const InstanceStart = z
  .strictObject({
    module: z.union(
      [
        z.strictObject({ digest: Digest }),
        z.strictObject({ bytes: Bytes }),
        z.strictObject({ oci: OciSource }),
      ],
      {
        error: 'must be { digest }, { bytes } or { oci: "registry/name:tag" }',
      },
    ),
    name: Id.optional(),
    instanceId: Id.optional(),
    count: z.int().min(1).max(messageLimits.startCountMax).default(1),
    capabilities: InstanceTemplate.shape.capabilities,
    restartPolicy: RestartPolicy.default({ type: "never" }),
    limits: InstanceLimits.prefault({}),
    config: StringMap.default({}),
    requires: StringMap.default({}),
    /** The only node that may run it, whatever becomes of that: `onNodeLoss` is then `stay`. */
    nodeId: Id.optional(),
    /** Copies are kept even over the values of this label first. */
    spread: LabelName.optional(),
    onNodeLoss: z.enum(["stay", "relocate"]).default("stay"),
    reuse: z.boolean().default(true),
    /** Keeps everything that is refused to it, to be asked for with `capability.audit`; it is refused all the same. */
    audit: z.boolean().optional(),
    wait: z.enum(["running", "accepted"]).default("running"),
    /** Only says where the copies would go and why; nothing is started or stored. */
    dryRun: z.boolean().optional(),
    ...commandId,
  })
  .refine((request) => request.instanceId === undefined || request.count === 1, {
    message: "an instanceId can only be given for one",
    path: ["instanceId"],
  });
export type InstanceStart = z.infer<typeof InstanceStart>;
export const InstanceStarted = answer({
  instances: z.array(InstanceSummary),
  /** Of a dry run: the nodes that can take copies, the best first. */
  placement: z
    .array(
      z.looseObject({
        nodeId: Id,
        /** 1 is the node that is asked first. */
        rank: z.int().min(1),
        reasons: z.array(z.string()),
        /** How many of the copies it would be asked for. */
        share: z.int().min(0),
      }),
    )
    .optional(),
  /** Of a dry run: the nodes that cannot take any. */
  unfit: z.array(z.looseObject({ nodeId: Id, reason: z.string() })).optional(),
  /** Of a dry run: how many copies have no place; the start would be refused. */
  withoutPlace: z.int().min(1).optional(),
});

export const InstanceTarget = z.strictObject({ ...target, ...commandId }).refine(oneTarget, oneTargetMessage);
export const InstancesChanged = answer({ instances: z.array(InstanceSummary) });

/** Moves one instance, to that node or to the one that suits it best. */
export const InstanceRelocate = z.strictObject({ instanceId: Id, nodeId: Id.optional(), ...commandId });

/** Starts or stops copies until a name has that many; the copies are made like those that there are. */
export const InstanceScale = z.strictObject({
  name: Id,
  count: z.int().min(0).max(messageLimits.startCountMax),
  ...commandId,
});

export const InstanceQuery = z.strictObject({ instanceId: Id });
export const InstanceQueried = answer({ instance: InstanceDetail, view: ViewStatus });

export const InstanceList = z
  .strictObject({ ...target, nodeId: Id.optional(), all: z.boolean().default(false), ...page })
  .refine(atMostOneTarget, oneTargetMessage);
export const InstancesListed = answer({ instances: z.array(InstanceSummary), ...paged });

export const CapabilityAssign = z
  .strictObject({ ...target, assignment: Assignment, ...commandId })
  .refine(oneTarget, oneTargetMessage);
export const CapabilityRevoke = z
  .strictObject({ ...target, capabilityId: Id, ...commandId })
  .refine(oneTarget, oneTargetMessage);
export const CapabilityChanged = answer({ instances: z.array(Id) });

export const CapabilityList = z
  .strictObject({ ...target, ...page })
  .refine(atMostOneTarget, oneTargetMessage);
const ListedAssignment = z.looseObject({ instanceId: Id, nodeId: Id, ...Assignment.shape });
export type ListedAssignment = z.infer<typeof ListedAssignment>;
export const CapabilitiesListed = answer({ assignments: z.array(ListedAssignment), ...paged });

export const CapabilityAudit = z.strictObject(target).refine(oneTarget, oneTargetMessage);
const AuditedPermission = z.looseObject({
  permission: z.string(),
  used: z.boolean(),
  /** Narrower ones that were enough, all of them together; none where only the whole is known to be enough. */
  exactly: z.array(z.string()),
  /** Whether its use can be seen at all: where not, it is kept. */
  isSeen: z.boolean(),
});
const AuditedDenial = z.looseObject({
  permission: z.string(),
  operation: z.string(),
  count: z.int(),
  /** ISO 8601: the latest. */
  at: z.string(),
  /** Whether a grant would allow it. */
  isGrantable: z.boolean(),
});
export const AuditedCapability = z.looseObject({
  capabilityId: z.string(),
  providerType: z.string(),
  provider: z.string().optional(),
  config: StringMap,
  /** Not granted at all where it is empty. */
  granted: z.array(AuditedPermission),
  denied: z.array(AuditedDenial),
});
export type AuditedCapability = z.infer<typeof AuditedCapability>;
export const CapabilityAudited = answer({
  /** Those that it is about, living ones. */
  instances: z.array(Id),
  /** Whether one of them was started to be audited: then what was refused is part of `smallest`. */
  audit: z.boolean(),
  /** Since when the oldest of them is watched, ISO 8601. */
  since: z.string(),
  capabilities: z.array(AuditedCapability),
  /** More was refused than is kept. */
  more: z.boolean(),
  /** The grants that permit what happened, and no more. */
  smallest: z.array(Assignment),
  view: ViewStatus,
});

export const NodeList = z.strictObject({});
export const NodeSummary = z.looseObject({
  nodeId: Id,
  epoch: z.int(),
  /** `suspect` and `lost` are this reader's knowledge; the others are the node's own words. */
  status: z.enum(["alive", "draining", "suspect", "lost", "back", "left"]),
  complete: z.boolean(),
  labels: StringMap,
  guestKinds: z.array(z.string()),
  instances: z.int(),
  instancesMax: z.int(),
  rssBytes: z.number().optional(),
  /** Share of its machine's processors that was busy over the last heartbeat, 0 to 1. */
  cpu: z.number().optional(),
  /** What its machine, or its control group, has left. */
  memoryFreeBytes: z.number().optional(),
  /** Messages and subscriptions that the bus refused it since it began; a sign of wrong credentials, or of an attack. */
  busRefused: z.int().optional(),
  productVersion: z.string(),
  hostname: z.string(),
  startedAt: z.string(),
  lastHeardAt: z.string(),
  /** Absent while it is not known. */
  protocolVersion: z.string().optional(),
  /** Why it is given no work whatever its status is, with the code before it. */
  reason: z.string().optional(),
});
export type NodeSummary = z.infer<typeof NodeSummary>;
export const NodesListed = answer({ nodes: z.array(NodeSummary), view: ViewStatus });

/** Moves away what can be moved; the node takes nothing new from then on. */
export const NodeDrain = z.strictObject({
  nodeId: Id,
  /** How long moving may take, ms; what has not moved by then stays. */
  timeoutMs: z.int().min(1).max(600_000).optional(),
  ...commandId,
});
export const NodeDrained = answer({
  nodeId: Id,
  /** Instances that run elsewhere now. */
  moved: z.array(Id),
  /** Instances that are still there, and why. */
  left: z.array(z.looseObject({ instanceId: Id, error: ErrorBodySchema })),
});
export const NodeResume = z.strictObject({ nodeId: Id, ...commandId });
/** Sets labels, and takes away those that are null. */
export const NodeLabel = z.strictObject({
  nodeId: Id,
  labels: z.record(z.string().min(1).max(256), z.string().max(1_024).nullable()),
  ...commandId,
});
export const NodeChanged = answer({ node: NodeSummary });

export const ProviderList = z.strictObject({});
export const ProviderSummary = z.looseObject({
  provider: Id,
  providerType: Id,
  nodeId: Id,
  status: z.enum([
    "starting",
    "available",
    "unwell",
    "draining",
    "stopped",
    "failed",
    "gave-up",
    "unreachable",
  ]),
  kind: z.string().optional(),
  backend: z.string(),
  version: z.string(),
  since: z.string(),
  restarts: z.int().optional(),
  address: z.string().optional(),
  reason: z.string().optional(),
});
export type ProviderSummary = z.infer<typeof ProviderSummary>;
export const ProvidersListed = answer({ providers: z.array(ProviderSummary), view: ViewStatus });
export const ProvidersChanged = answer({ providers: z.array(ProviderSummary) });

/** `kv`, `module:clock.ts`; which there are, a host says in `node.joined`. */
export const ProviderKindName = z.string().min(1).max(messageLimits.providerKindCharactersMax);
export const ProviderStart = z
  .strictObject({
    provider: Id,
    kind: ProviderKindName,
    backend: Id.optional(),
    config: StringMap.default({}),
    nodeId: Id.optional(),
    requires: StringMap.default({}),
    ...commandId,
  })
  .refine((request) => request.nodeId === undefined || Object.keys(request.requires).length === 0, {
    message: "give either nodeId or requires",
  });
/** On that node, or wherever it is. */
export const ProviderStop = z.strictObject({ provider: Id, nodeId: Id.optional(), ...commandId });
/** What is left out stays as it is; `config` is replaced as a whole, and begins anew with another kind or backend. */
export const ProviderUpdate = z.strictObject({
  provider: Id,
  nodeId: Id.optional(),
  kind: ProviderKindName.optional(),
  backend: Id.optional(),
  config: StringMap.optional(),
  ...commandId,
});

/** A module whole, or one piece of it; the last piece makes it whole. */
export const ModulePut = z.union([
  z.strictObject({ bytes: Bytes }),
  z.strictObject({ digest: Digest, sizeBytes: z.int().min(1), offset: z.int().min(0), bytes: Bytes }),
]);
export const ModulePutDone = answer({
  digest: Digest,
  /** Whether at least one node now holds all of it. */
  complete: z.boolean(),
  holders: z.array(Id),
});
export const ModuleList = z.strictObject({});
export const ModulesListed = answer({
  modules: z.array(z.looseObject({ digest: Digest, sizeBytes: z.int(), holders: z.array(Id) })),
  view: ViewStatus,
});

export const FactList = z.strictObject({
  limit: z.int().min(1).max(messageLimits.listPageMax).default(100),
  instanceId: Id.optional(),
  nodeId: Id.optional(),
  kind: z.enum(factKinds).optional(),
});
export const FactsListed = answer({ facts: z.array(FactSchema) });
