import { auditLimits } from "../limits.ts";
import type { FactData, FactOf } from "../protocol/facts.ts";
import type { InstanceView } from "./view.ts";

/** What an instance has used of its grants, and what it was refused. */
export interface InstanceAudit {
  /** By capability and permission. */
  readonly used: Map<string, Map<string, Use>>;
  readonly denied: Map<string, Denial>;
  /** More was refused than is kept, or told. */
  hasMore: boolean;
}

/** How one granted permission was used. */
interface Use {
  /** ISO 8601: the first time. */
  readonly at: string;
  /** Narrower permissions that would have been enough. */
  readonly exactly: Set<string>;
  /** Whether nothing less than the whole is known to be enough. */
  isWhole: boolean;
}

/** What was refused, and how often; `at` is the latest time, ISO 8601. */
interface Denial {
  readonly at: string;
  readonly data: FactData<"capability.denied">;
}

/** A fact about use or refusal without its frame. */
export type AuditRecord = {
  [K in "capability.used" | "capability.denied"]: { kind: K; at: string; data: FactData<K> };
}["capability.used" | "capability.denied"];

type AuditFact = FactOf<"capability.used"> | FactOf<"capability.denied">;

/** Adds one such fact to what is known of the instance, within bounds. */
export function auditFact(instance: InstanceView, fact: AuditFact): void {
  if (fact.kind === "capability.denied") {
    addDenial(auditOf(instance), fact.data, fact.at, instance.spec.audit === true);
  } else if (isNewUse(instance, fact.data)) addUse(auditOf(instance), fact.data, fact.at);
}

/** Whether a fact about use says something that is not known, and is kept. */
export function isNewUse(
  { audit }: InstanceView,
  { capabilityId, permission, exactly }: Omit<FactData<"capability.used">, "instanceId">,
): boolean {
  const uses = audit?.used.get(capabilityId);
  const use = uses?.get(permission);
  if (use !== undefined) return !use.isWhole && (exactly === undefined || !use.exactly.has(exactly));
  // Not held against the grants of now: what is told again must be kept as it was the first time.
  const room = uses === undefined ? (audit?.used.size ?? 0) : uses.size;
  return room < auditLimits.grantPermissionsMax;
}

/** What is known of use and refusals as the fewest facts that say the same. */
export function* auditRecords({ spec: { instanceId }, audit }: InstanceView): Generator<AuditRecord> {
  if (audit === undefined) return;
  for (const [capabilityId, uses] of audit.used)
    for (const [permission, { at, exactly, isWhole }] of uses) {
      const data = { instanceId, capabilityId, permission };
      if (isWhole) yield { kind: "capability.used", at, data };
      else for (const one of exactly) yield { kind: "capability.used", at, data: { ...data, exactly: one } };
    }
  let more = audit.hasMore;
  for (const { at, data } of audit.denied.values()) {
    yield { kind: "capability.denied", at, data: more ? { ...data, more } : data };
    more = false;
  }
}

function auditOf(instance: InstanceView): InstanceAudit {
  instance.audit ??= { used: new Map(), denied: new Map(), hasMore: false };
  return instance.audit;
}

function addUse(
  { used }: InstanceAudit,
  { capabilityId, permission, exactly }: FactData<"capability.used">,
  at: string,
): void {
  const uses = used.get(capabilityId) ?? new Map<string, Use>();
  used.set(capabilityId, uses);
  const use = uses.get(permission) ?? { at, exactly: new Set<string>(), isWhole: false };
  uses.set(permission, use);
  if (exactly !== undefined && use.exactly.size < auditLimits.exactPermissionsMax) use.exactly.add(exactly);
  else {
    // Which narrower ones there were says nothing any more.
    use.isWhole = true;
    use.exactly.clear();
  }
}

function addDenial(
  audit: InstanceAudit,
  { more, ...data }: FactData<"capability.denied">,
  at: string,
  isAudited: boolean,
): void {
  const key = `${data.capabilityId} ${data.providerType} ${data.permission}`;
  const before = audit.denied.get(key);
  const max = isAudited ? auditLimits.denialsKeptInAuditMax : auditLimits.denialsKeptMax;
  if (more === true) audit.hasMore = true;
  if (before === undefined && audit.denied.size >= max) audit.hasMore = true;
  else audit.denied.set(key, { at, data: { ...data, count: data.count + (before?.data.count ?? 0) } });
}
