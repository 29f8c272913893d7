import { z } from "zod";
import { guestLimits, messageLimits, restartLimits } from "../limits.ts";
import { isId } from "./ids.ts";
import { isOciReference } from "./oci-reference.ts";
import { permissionProblem } from "./permissions.ts";
import { Proof } from "./proofs.ts";

/** An id or a name: one legal NATS token of at most 64 characters. */
export const Id = z
  .string()
  .refine(isId, "must be 1–64 letters, digits, `-` or `_`, with a letter or digit at both ends");

/** Content address of guest bytes: lower-case hex. */
export const Digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, "must be `sha256:` and 64 lower-case hex digits");

/** A module in a registry: `host/name:tag`, or with the digest of a manifest. */
export const OciSource = z
  .string()
  .refine(isOciReference, "must be `registry/name:tag` or `registry/name@sha256:…`");

/** Binary data: bytes in MessagePack, base64 in JSON. */
export const Bytes = z.union([
  z.instanceof(Uint8Array),
  z.base64("must be base64").transform((text) => new Uint8Array(Buffer.from(text, "base64"))),
]);

const Text = z.string().max(messageLimits.textCharactersMax);

/** String to string, bounded; keys are free text because guests choose them. */
export const StringMap = z
  .record(Text.min(1), Text)
  .refine((map) => Object.keys(map).length <= messageLimits.mapEntriesMax, {
    message: `must have at most ${messageLimits.mapEntriesMax} entries`,
  });

const assignmentFields = {
  /** How the guest calls it; waPC's binding. */
  capabilityId: Id,
  providerType: Id,
  /** The provider it means; the type's name where none is given. */
  provider: Id.optional(),
  permissions: z.array(z.string().max(256)).min(1, "must grant something").max(64),
  config: StringMap.default({}),
};

/** The link between one instance and one provider, with what it permits. */
export const Assignment = z.strictObject(assignmentFields).superRefine(checkPermissions);
export type Assignment = z.infer<typeof Assignment>;

/** An assignment as parts tell each other of it: people neither give nor see its proof. */
export const ProvenAssignment = z
  .strictObject({ ...assignmentFields, proof: Proof.optional() })
  .superRefine(checkPermissions);
export type ProvenAssignment = z.infer<typeof ProvenAssignment>;

function checkPermissions(
  { providerType, permissions }: { providerType: string; permissions: readonly string[] },
  context: z.RefinementCtx,
): void {
  // What is wrong with the type is said of the type; permissions of none would repeat it, however long it is.
  if (!isId(providerType)) return;
  for (const [index, permission] of permissions.entries()) {
    const problem = permissionProblem(providerType, permission);
    if (problem !== undefined)
      context.addIssue({ code: "custom", path: ["permissions", index], message: problem });
  }
}

/** What a node does when the instance crashes. Durations are milliseconds. */
export const RestartPolicy = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("never") }),
  z.strictObject({ type: z.literal("always") }),
  z.strictObject({
    type: z.literal("backoff"),
    delayMs: z.int().min(1).max(3_600_000).default(restartLimits.backoffDelayMsDefault),
    maxDelayMs: z.int().min(1).max(86_400_000).default(restartLimits.backoffDelayMsMaxDefault),
    maxRetries: z.int().min(0).max(1_000_000).default(restartLimits.backoffRetriesDefault),
  }),
]);
export type RestartPolicy = z.infer<typeof RestartPolicy>;

/** What one instance may use. */
export const InstanceLimits = z.strictObject({
  memoryBytes: z.int().min(65_536).max(guestLimits.memoryBytesMax).default(guestLimits.memoryBytesDefault),
  /** Function entries and turns of loops per call. */
  fuel: z.int().min(1_000).max(guestLimits.fuelMax).default(guestLimits.fuelDefault),
  /** Wall clock per call, waiting for providers included. */
  timeoutMs: z.int().min(1).max(guestLimits.timeoutMsMax).default(guestLimits.timeoutMsDefault),
  /** Calls that may wait while one is in progress. */
  mailbox: z.int().min(0).max(guestLimits.mailboxMax).default(guestLimits.mailboxDefault),
});
export type InstanceLimits = z.infer<typeof InstanceLimits>;

const defaultLimits = InstanceLimits.parse({});

/** The name of a label; free text, because operators choose it. */
export const LabelName = z.string().min(1).max(messageLimits.labelNameCharactersMax);

/** What all copies started by one command have in common. */
export const InstanceTemplate = z.strictObject({
  name: Id.optional(),
  moduleHash: Digest,
  /** Where nodes fetch the module when no other node holds it; the digest says whether it is the same. */
  moduleSource: OciSource.optional(),
  capabilities: z
    .array(Assignment)
    .max(64)
    .default([])
    .refine((list) => new Set(list.map((one) => one.capabilityId)).size === list.length, {
      message: "must not name one capabilityId twice",
    }),
  restartPolicy: RestartPolicy.default({ type: "never" }),
  limits: InstanceLimits.default(defaultLimits),
  config: StringMap.default({}),
  requires: StringMap.default({}),
  /** Copies of the same name are kept even over the values of this label first, and only then over nodes. */
  spread: LabelName.optional(),
  /** The only node that may run it: it is neither moved nor started elsewhere. */
  pinnedTo: Id.optional(),
  onNodeLoss: z.enum(["stay", "relocate"]).default("stay"),
  /** Whether its guest is kept between calls; a fresh one for each costs the time of an instantiation. */
  reuse: z.boolean().default(true),
  /** Whether it runs to see what it needs: everything that is refused to it is kept with it. Nothing is granted by that. */
  audit: z.boolean().optional(),
  commandId: Id,
  /** ISO 8601. */
  createdAt: z.iso.datetime(),
});
export type InstanceTemplate = z.infer<typeof InstanceTemplate>;

/** What a node runs: the template, who it is, and the how-many-eth life of that id on the lattice. */
export const InstanceSpec = InstanceTemplate.extend({
  instanceId: Id,
  incarnation: z.int().min(1),
  capabilities: z.array(ProvenAssignment).max(64).default([]),
  /** What a control plane signed of that life of it on that node, on a lattice with roots; see src/trust/placement.ts. */
  placement: Proof.optional(),
});
export type InstanceSpec = z.infer<typeof InstanceSpec>;

/** Whether it lives, as its node last said; `unreachable` is the reader's own knowledge of the node. */
export const InstanceStatus = z.enum([
  "starting",
  "running",
  "crashed",
  "backing-off",
  "gave-up",
  "stopped",
  "unreachable",
]);
export type InstanceStatus = z.infer<typeof InstanceStatus>;

/** Why an instance ended that nobody stopped. */
export const Crash = z.strictObject({
  reason: z.enum([
    "trap",
    "fuel",
    "memory",
    "deadline",
    "exit",
    "fault",
    "cell-lost",
    "engine-lost",
    "start-failure",
  ]),
  message: z.string(),
  /** Innermost guest frame first, with the names of the module's name section. */
  backtrace: z.array(z.string()).optional(),
  operation: z.string().optional(),
  /** ISO 8601. */
  at: z.string(),
});
export type Crash = z.infer<typeof Crash>;

/** An instance as it is told to whoever asks. */
export const InstanceSummary = z.looseObject({
  instanceId: Id,
  nodeId: Id,
  name: Id.optional(),
  moduleHash: Digest,
  createdAt: z.string(),
  status: InstanceStatus,
  incarnation: z.int(),
  restarts: z.int(),
  /** When it came to that status, ISO 8601. */
  since: z.string(),
  /** Whether it runs to see what it needs. */
  audit: z.boolean().optional(),
});
export type InstanceSummary = z.infer<typeof InstanceSummary>;

/** An instance with everything that is known of it. */
export const InstanceDetail = InstanceSummary.extend({
  restartPolicy: RestartPolicy,
  capabilities: z.array(Assignment),
  limits: InstanceLimits,
  config: StringMap,
  /** The registry's reference that its module came from. */
  moduleSource: z.string().optional(),
  spread: z.string().optional(),
  pinnedTo: z.string().optional(),
  lastCrash: Crash.optional(),
  /** Why it is in this status, as a sentence. */
  reason: z.string().optional(),
});
export type InstanceDetail = z.infer<typeof InstanceDetail>;
