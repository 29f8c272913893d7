import { z } from "zod";
import { auditLimits, messageLimits, proofLimits, viewLimits } from "../limits.ts";
import { ProviderKindName, ProviderSummary } from "./commands.ts";
import {
  Assignment,
  Bytes,
  Digest,
  Id,
  InstanceSummary,
  InstanceTemplate,
  OciSource,
  ProvenAssignment,
  StringMap,
} from "./instance-spec.ts";
import { FactReplay, factData } from "./facts.ts";
import { CertificateText, GrantId, Proof } from "./proofs.ts";
import { answer, ErrorBodySchema } from "./reply.ts";

const instanceIds = { instanceIds: z.array(Id).min(1).max(messageLimits.startCountMax) };

const AuditRecord = z.union([
  z.looseObject({ kind: z.literal("capability.used"), at: z.string(), data: factData["capability.used"] }),
  z.looseObject({
    kind: z.literal("capability.denied"),
    at: z.string(),
    data: factData["capability.denied"],
  }),
]);

/** Starts copies of one template here; `holders` are the nodes that are said to have the module. */
export const NodeInstanceStart = z.strictObject({
  template: InstanceTemplate,
  ...instanceIds,
  incarnation: z.int().min(1).default(1),
  holders: z.array(Id).default([]),
  /** Where its former incarnation was, for a copy that takes its place. */
  from: Id.optional(),
  /** What their former incarnations used and were refused, for those that take their place: told again by this node. */
  audited: z.array(AuditRecord).max(auditLimits.recordsPerStartMax).optional(),
  /** For each of `instanceIds`, in their order, a proof of each of the template's capabilities, in theirs. */
  proofs: z.array(z.array(Proof).max(64)).max(messageLimits.startCountMax).optional(),
  /** For each of `instanceIds`, in their order, a proof that it was put there. */
  placements: z.array(Proof).max(messageLimits.startCountMax).optional(),
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

/** Copies of instances that another copy outranks. */
export const NodeInstancesFence = z.strictObject({
  instances: z
    .array(
      z.strictObject({
        instanceId: Id,
        /** The copy that is meant; a later one on this node is left alone. */
        incarnation: z.int().min(1),
        /** The copy that counts. */
        by: z.strictObject({ nodeId: Id, incarnation: z.int().min(1) }),
      }),
    )
    .min(1)
    .max(messageLimits.startCountMax),
});

/** Instances that are to run elsewhere soon: until they end here, both copies are in order. */
export const NodeInstancesYield = z.strictObject({ ...instanceIds });
export const NodeInstancesYielding = answer({ instances: z.array(Id) });

/** Takes no new work, or takes it again. */
export const NodeDraining = z.strictObject({ draining: z.boolean() });
export const NodeLabels = z.strictObject({ labels: z.record(z.string(), z.string().nullable()) });
export const NodeDone = answer({});

/** What a node asks before it ends: that others take over what it runs. */
export const NodeLeaving = z.strictObject({ timeoutMs: z.int().min(1) });

/** Asks a node that is silent whether it is there. */
export const NodePing = z.strictObject({});
export const NodePong = answer({ epoch: z.int() });

/** What a control plane says of itself, again and again. */
export const ControlPlaneBeat = z.looseObject({
  controlPlane: Id,
  /** Its start, ms since 1970: two of the same id are told apart. */
  epoch: z.int(),
  /** Whether it knows the whole lattice; of those that do, the one that began first acts on losses. */
  ready: z.boolean(),
  /** It ends now. */
  leaving: z.boolean().optional(),
  /** Copies that it knows on nodes that cannot be asked any more: whoever knows of fewer asks it which. */
  outOfReach: z.int().min(0).optional(),
  /** What lets it sign commands and grants, on a lattice with roots. */
  certificate: CertificateText.optional(),
});
export type ControlPlaneBeat = z.infer<typeof ControlPlaneBeat>;

/** Lives of nodes, and up to which of its facts each was heard. */
const HeardLife = z.looseObject({ node: Id, epoch: z.int(), seq: z.int().min(0) });

/** What a control plane asks another one for: what that one has heard more of lives that are over. */
export const RecallQuestion = z.looseObject({
  /** What the one that asks has heard itself. */
  heard: z.array(HeardLife).max(viewLimits.recallLivesMax),
  /** How many parts of the answer it has already. */
  from: z.int().min(0),
});
/** A replay of each such life, as its node would tell it; `at` is when that was last heard. In parts. */
export const Recalled = answer({
  parts: z.array(FactReplay),
  isLast: z.boolean(),
  /** Nodes that it knows and does not hold for lost. */
  nodes: z.array(Id).max(viewLimits.recallLivesMax).optional(),
});

/** What a control plane asks another one of a command that has come to it. */
export const CommandElsewhere = z.looseObject({ controlPlane: Id, commandId: Id });
/** `unknown`: it leaves it to the one that asks. */
export const CommandKnown = answer({
  status: z.enum(["unknown", "in-progress", "done"]),
  /** A digest of what it was asked for under that id. */
  content: z.string().optional(),
  /** What it answered, or what it refused it with. */
  answer: z.unknown().optional(),
  error: ErrorBodySchema.optional(),
});

const certificates = z.array(CertificateText).max(proofLimits.certificatesMax);

/** Asks for fresh proofs, in the place of those that the node has. */
export const ProofRenewal = z.strictObject({
  instances: z
    .array(
      z.strictObject({
        instanceId: Id,
        grants: z.array(z.strictObject({ capabilityId: Id, proof: Proof })).max(64),
      }),
    )
    .min(1)
    .max(messageLimits.startCountMax),
  /** Of those who signed the present ones, as far as the node knows them. */
  certificates,
});
export type ProofRenewal = z.infer<typeof ProofRenewal>;
export const ProofsRenewed = answer({
  proofs: z.array(z.looseObject({ instanceId: Id, capabilityId: Id, proof: Proof })),
  /** Of the one who signed these. */
  certificate: CertificateText,
});

/** Grants that do not count any more, by the id that their proofs have in common. */
export const GrantsRevoked = z.strictObject({
  grantIds: z.array(GrantId).min(1).max(proofLimits.revokedPerMessageMax),
});
export type GrantsRevoked = z.infer<typeof GrantsRevoked>;

/** What a provider asks when it has not heard of an assignment yet. */
export const NodeAssignmentQuery = z.strictObject({ instanceId: Id });
export const NodeAssignments = answer({
  instanceId: Id,
  name: Id.optional(),
  incarnation: z.int(),
  capabilities: z.array(ProvenAssignment),
  /** Of those who signed the proofs. */
  certificates: certificates.optional(),
});

export const NodeCapabilityAssign = z.strictObject({
  ...instanceIds,
  assignment: Assignment,
  /** For each of `instanceIds`, in their order. */
  proofs: z.array(Proof).max(messageLimits.startCountMax).optional(),
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

/** Has a module held here, fetched from holders or from its source. */
export const NodeModulePull = z.strictObject({
  digest: Digest,
  holders: z.array(Id).default([]),
  source: OciSource.optional(),
});
export const NodeModulePulled = answer({ sizeBytes: z.int() });

/** Asks what a registry's reference means now. */
export const NodeModuleResolve = z.strictObject({ oci: OciSource });
export const NodeModuleResolved = answer({
  digest: Digest,
  sizeBytes: z.int(),
  /** The reference with the digest of its manifest, which means the same for good. */
  pinned: OciSource,
});

/** Asks a node to tell its present facts again; they arrive as `node.replay`. */
export const FactReplayRequest = z.strictObject({ reason: z.string().max(256).optional() });
export const FactReplayAccepted = answer({ epoch: z.int(), seq: z.int() });
