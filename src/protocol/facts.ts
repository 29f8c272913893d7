import { z } from "zod";
import { auditLimits } from "../limits.ts";
import { ErrorBodySchema } from "./reply.ts";
import { CertificateText } from "./proofs.ts";
import { tolerant } from "./tolerant.ts";
import { Crash, Digest, Id, InstanceSpec, ProvenAssignment, StringMap } from "./instance-spec.ts";

const Load = z.looseObject({
  instances: z.int(),
  cells: z.int().optional(),
  /** Resident bytes of the node's processes. */
  rssBytes: z.number().optional(),
  /** Share of the machine's processors that was busy since the heartbeat before, 0 to 1. */
  cpu: z.number().optional(),
  /** What the machine, or the node's control group, has left. */
  memoryFreeBytes: z.number().optional(),
  /** Messages and subscriptions that the bus refused it since it began. */
  busRefused: z.int().optional(),
});

/** A provider as its host describes it. */
export const ProviderInfo = z.looseObject({
  provider: Id,
  providerType: Id,
  /** What it is made of: `memory`. */
  backend: z.string(),
  version: z.string(),
  /** How it was asked for: its type, or `module:<file>` for one of somebody's own. */
  kind: z.string().optional(),
  /** How often it was started again after a failure. */
  restarts: z.int().min(0).optional(),
  /** Where it can be reached from outside: `http://127.0.0.1:8080`. */
  address: z.string().optional(),
  /** The command that started it; none for one that its process began with. */
  commandId: Id.optional(),
});
export type ProviderInfo = z.infer<typeof ProviderInfo>;

const ProviderTrouble = ProviderInfo.extend({ reason: z.string() });

/** A kind of provider that a host can run, with what it can be made of; the first is taken where none is asked for. */
export const ProviderKindInfo = z.looseObject({ kind: z.string(), backends: z.array(z.string()) });
export type ProviderKindInfo = z.infer<typeof ProviderKindInfo>;

const instanceId = { instanceId: Id };
const restarts = z.int().min(0);
const AssignmentFact = z.strictObject({ ...instanceId, assignment: ProvenAssignment });

/** What each kind of fact says, keyed by kind; a kind is also its subject's last two tokens. */
export const factData = {
  "node.joined": z.looseObject({
    productVersion: z.string(),
    protocolVersion: z.string(),
    hostname: z.string(),
    pid: z.int(),
    labels: StringMap,
    /** Empty for a process that only hosts providers. */
    guestKinds: z.array(z.string()),
    instancesMax: z.int(),
    /** What `provider.start` can ask of it. */
    providerKinds: z.array(ProviderKindInfo).optional(),
  }),
  "node.heartbeat": z.looseObject({ digest: z.string(), load: Load }),
  "node.draining": z.strictObject({}),
  "node.resumed": z.strictObject({}),
  /** All labels that it has from now on. */
  "node.labelled": z.strictObject({ labels: StringMap }),
  "node.left": z.strictObject({ reason: z.string() }),
  /** The server refused it messages or a subscription: its role has no right to them. Once a second for each subject. */
  "bus.refused": z.strictObject({
    operation: z.enum(["publish", "subscribe"]),
    subject: z.string(),
    count: z.int(),
  }),
  /** It takes commands under that certificate, and has grants that were signed under it. */
  "node.trusted": z.strictObject({ certificate: CertificateText }),
  /** A command that nobody it trusts has signed for it: it did nothing. */
  "command.refused": z.strictObject({
    /** The command, as the table of subjects calls it. */
    row: z.string(),
    reason: z.enum([
      "unsigned",
      "malformed",
      "unknown-certificate",
      "ended-certificate",
      "bad-signature",
      "other-life",
      "out-of-time",
      "replayed",
    ]),
    /** How often since the last such fact; they are bounded per second. */
    count: z.int(),
  }),
  "instance.starting": z.strictObject({ spec: InstanceSpec, restarts }),
  "instance.running": z.strictObject({ ...instanceId, restarts }),
  "instance.crashed": z.strictObject({ ...instanceId, restarts, crash: Crash }),
  "instance.backing-off": z.strictObject({
    ...instanceId,
    restarts,
    attempt: z.int(),
    delayMs: z.number(),
    until: z.string(),
  }),
  "instance.restarting": z.strictObject({ ...instanceId, restarts, reason: z.string() }),
  "instance.gave-up": z.strictObject({ ...instanceId, restarts, reason: z.string() }),
  "instance.stopped": z.strictObject({ ...instanceId, restarts, reason: z.string() }),
  /** A copy elsewhere takes over soon; until this one ends both are in order. */
  "instance.yielding": z.strictObject({ ...instanceId }),
  /** It runs here in place of a copy that was on another node, or of a former life of this one. */
  "instance.relocated": z.strictObject({ ...instanceId, incarnation: z.int().min(1), from: Id }),
  /** A copy elsewhere outranks this one, which ends. */
  "instance.fenced": z.strictObject({
    ...instanceId,
    incarnation: z.int().min(1),
    by: z.strictObject({ nodeId: Id, incarnation: z.int().min(1) }),
  }),
  "capability.assigned": AssignmentFact,
  "capability.revoked": z.strictObject({ ...instanceId, capabilityId: Id }),
  "capability.denied": z.strictObject({
    ...instanceId,
    capabilityId: z.string(),
    providerType: z.string(),
    operation: z.string(),
    /** Empty where no grant would allow it. */
    permission: z.string(),
    /** How often since the last such fact; they are bounded per second. */
    count: z.int(),
    /** The command that would grant it. */
    fix: z.string(),
    /** Others were refused as well, too many to be told one by one. */
    more: z.literal(true).optional(),
  }),
  /** A call rested on that permission for the first time; with `exactly`, for the first time in that way. */
  "capability.used": z.strictObject({
    ...instanceId,
    capabilityId: Id,
    permission: z.string().max(auditLimits.permissionCharactersMax),
    /** The narrowest permission that would have been enough; without one nothing less than the whole is known to be. */
    exactly: z.string().max(auditLimits.permissionCharactersMax).optional(),
  }),
  "provider.starting": ProviderInfo,
  "provider.available": ProviderInfo,
  /** It runs and serves calls, but its check says that they fail; `provider.available` ends it. */
  "provider.unwell": ProviderTrouble,
  /** A newer one took its place and serves; the old one ends what it has begun. */
  "provider.updated": ProviderInfo,
  "provider.draining": ProviderInfo,
  "provider.failed": ProviderTrouble,
  /** It failed too often and is not started again by itself. */
  "provider.gave-up": ProviderTrouble,
  "provider.stopped": ProviderTrouble,
  /** Messages for an instance that were lost on the way to it. */
  "provider.dropped": z.strictObject({ provider: Id, ...instanceId, topic: z.string(), count: z.int() }),
  "module.stored": z.strictObject({ digest: Digest, sizeBytes: z.int() }),
  "module.evicted": z.strictObject({ digest: Digest }),
  "module.admitted": z.strictObject({ digest: Digest, guestKind: z.string(), sizeBytes: z.int() }),
  "module.refused": z.strictObject({ digest: Digest, error: ErrorBodySchema }),
  "engine.started": z.strictObject({ pid: z.int(), cells: z.int() }),
  "engine.lost": z.strictObject({ reason: z.string(), instances: z.int() }),
  "cell.lost": z.strictObject({ reason: z.string(), blamed: Id.optional(), moved: z.int() }),
} as const;

/** Every kind of fact that there is. */
export type FactKind = keyof typeof factData;

/** Every kind of fact that there is, in the order of the table. */
export const factKinds = Object.keys(factData) as FactKind[];

/** What a fact of that kind says. */
export type FactData<K extends FactKind> = z.infer<(typeof factData)[K]>;

/**
 * A statement, made by a node, of something that happened. `epoch` names one life of the node (its start in ms
 * since 1970), `seq` counts that life's facts without gaps from 1; a heartbeat repeats the last one.
 */
export interface FactOf<K extends FactKind> {
  lattice: string;
  node: string;
  epoch: number;
  seq: number;
  /** ISO 8601. */
  at: string;
  kind: K;
  /** The id of the command or the call that it came from. */
  cause?: string;
  data: FactData<K>;
}

/** Any fact. */
export type Fact = { [K in FactKind]: FactOf<K> }[FactKind];

const seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const frame = { lattice: Id, node: Id, epoch: seq, seq, at: z.string(), cause: z.string().optional() };

/** A fact of a kind that a newer minor version added: it says nothing here, but it counts, for a skipped one would be a gap. */
const YoungerFact = z.looseObject({
  ...frame,
  kind: z
    .string()
    .max(64)
    .refine((kind) => isFactKindName(kind) && !Object.hasOwn(factData, kind), "is not a kind of fact"),
  data: z.looseObject({}),
});

const isFactKindName = (kind: string) => /^[a-z]+(?:-[a-z]+)*\.[a-z]+(?:-[a-z]+)*$/.test(kind);

/** The schema of any fact on the bus. */
export const FactSchema = z.union([
  z.discriminatedUnion(
    "kind",
    factKinds.map((kind) =>
      z.looseObject({ ...frame, kind: z.literal(kind), data: tolerant(factData[kind]) }),
    ) as never,
  ),
  YoungerFact,
]) as unknown as z.ZodType<Fact>;

/**
 * One part of a node's present facts, told again. True for `seq`: what a live fact with a higher one says comes
 * on top. Whoever has all `count` parts of one `replayId` has the whole node.
 */
export const FactReplay = z.looseObject({
  ...frame,
  kind: z.literal("node.replay"),
  replayId: z.string(),
  index: z.int().min(0),
  count: z.int().min(1),
  facts: z.array(FactSchema),
});
export type FactReplay = z.infer<typeof FactReplay>;
