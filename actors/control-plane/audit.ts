import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import { type AuditRecord, auditRecords } from "../../src/lattice/audit.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { auditLimits } from "../../src/limits.ts";
import type { AuditedCapability } from "../../src/protocol/commands.ts";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import { isId } from "../../src/protocol/ids.ts";
import { coverOf, isUseSeen, withoutCovered } from "../../src/protocol/permission-use.ts";
import { permissionProblem, providerTypeOf } from "../../src/protocol/permissions.ts";
import type { ViewStatus } from "../../src/protocol/reply.ts";
import type { Desk } from "./desk.ts";
import { livingTargets } from "./targets.ts";

type AuditedPermission = AuditedCapability["granted"][number];

/** What living instances used of their grants and were refused, and the fewest permissions that would have done. */
export function auditCapabilities(
  desk: Desk,
  request: RequestOf<"ctl.capability.audit">,
): AnswerOf<"ctl.capability.audit"> {
  return auditOf(livingTargets(desk, request), desk.viewStatus());
}

/** The same of these instances, merged: what one of them used is used. */
export function auditOf(
  instances: readonly InstanceView[],
  view: ViewStatus,
): AnswerOf<"ctl.capability.audit"> {
  const capabilities = new Map<string, AuditedCapability>();
  for (const instance of instances) addGrants(capabilities, instance);
  for (const instance of instances) addUses(capabilities, instance);
  for (const instance of instances) addDenials(capabilities, instance);
  const audit = instances.some(({ spec }) => spec.audit === true);
  const all = [...capabilities.values()].toSorted(byId);
  return {
    instances: instances.map(({ spec }) => spec.instanceId).toSorted(),
    audit,
    since: instances.map(({ spec }) => spec.createdAt).toSorted()[0] ?? "",
    capabilities: all,
    more: instances.some((instance) => instance.audit?.hasMore === true),
    smallest: all.flatMap((one) => smallestOf(one, audit) ?? []),
    view,
  };
}

/** What goes along when instances move: what is beyond the bound is found out anew. */
export function recordsOf(instances: readonly InstanceView[]): { audited?: AuditRecord[] } {
  const audited: AuditRecord[] = [];
  for (const instance of instances) {
    if (instance.audit === undefined) continue;
    for (const record of auditRecords(instance))
      if (audited.length < auditLimits.recordsPerStartMax) audited.push(record);
  }
  return audited.length === 0 ? {} : { audited };
}

function addGrants(capabilities: Map<string, AuditedCapability>, { assignments }: InstanceView): void {
  for (const { capabilityId, providerType, provider, config, permissions } of assignments.values()) {
    const one = capabilities.get(capabilityId) ?? {
      capabilityId,
      providerType,
      ...(provider === undefined ? {} : { provider }),
      config,
      granted: [],
      denied: [],
    };
    capabilities.set(capabilityId, one);
    // Copies of one name may have been granted different things under one id: the first that was found is told.
    if (one.providerType !== providerType) continue;
    for (const permission of permissions)
      if (!one.granted.some((known) => known.permission === permission))
        one.granted.push({ permission, used: false, exactly: [], isSeen: isUseSeen(permission) });
  }
}

function addUses(capabilities: ReadonlyMap<string, AuditedCapability>, { audit }: InstanceView): void {
  for (const [capabilityId, uses] of audit?.used ?? []) {
    const one = capabilities.get(capabilityId);
    if (one === undefined) continue;
    const granted = one.granted.map(({ permission }) => permission);
    for (const [permission, { exactly, isWhole }] of uses) {
      // Of what is not granted any more, that part counts which still is: the rest was taken back on purpose.
      for (const used of isWhole ? [permission] : exactly) {
        const cover = coverOf(one.providerType, granted, used);
        const known = one.granted.find((other) => other.permission === cover);
        if (known !== undefined) noteUse(known, used);
      }
    }
  }
}

function noteUse(known: AuditedPermission, used: string): void {
  const isWhole = used === known.permission || (known.used && known.exactly.length === 0);
  known.used = true;
  if (isWhole) known.exactly = [];
  else known.exactly = [...new Set([...known.exactly, used])].toSorted();
  if (known.exactly.length > auditLimits.exactPermissionsMax) known.exactly = [];
}

function addDenials(capabilities: Map<string, AuditedCapability>, { audit }: InstanceView): void {
  for (const { at, data } of audit?.denied.values() ?? []) {
    const { capabilityId, providerType, permission, operation, count } = data;
    const present = capabilities.get(capabilityId);
    // An id of another type cannot be granted beside the one that there is.
    const isTaken = present !== undefined && present.providerType !== providerType;
    const key = isTaken ? `${capabilityId} ${providerType}` : capabilityId;
    const one = capabilities.get(key) ?? { capabilityId, providerType, config: {}, granted: [], denied: [] };
    capabilities.set(key, one);
    const known = one.denied.find((other) => other.permission === permission);
    const isGrantable = !isTaken && canBeGranted(one, permission);
    if (known === undefined) one.denied.push({ permission, operation, count, at, isGrantable });
    else Object.assign(known, { count: known.count + count, at: known.at > at ? known.at : at });
  }
}

/** Whether it can be written into a grant as it was told; a text that was cut short would be another permission. */
function canBeGranted({ capabilityId, providerType }: AuditedCapability, permission: string): boolean {
  return (
    permission.length < auditLimits.permissionCharactersShown &&
    isId(capabilityId) &&
    isId(providerType) &&
    providerTypeOf(permission) === providerType &&
    permissionProblem(providerType, permission) === undefined
  );
}

function smallestOf(one: AuditedCapability, isAudit: boolean): Assignment | undefined {
  const used = one.granted.filter((known) => known.used);
  const needed = used.flatMap(({ permission, exactly }) => (exactly.length === 0 ? [permission] : exactly));
  if (isAudit)
    needed.push(...one.denied.filter((denial) => denial.isGrantable).map(({ permission }) => permission));
  if (needed.length === 0) return undefined;
  const unseen = one.granted.filter((known) => !known.isSeen).map(({ permission }) => permission);
  const permissions = withoutCovered(one.providerType, [...needed, ...unseen]);
  const { capabilityId, providerType, provider, config } = one;
  return {
    capabilityId,
    providerType,
    ...(provider === undefined ? {} : { provider }),
    permissions: permissions.slice(0, auditLimits.grantPermissionsMax),
    config,
  };
}

function byId(one: AuditedCapability, other: AuditedCapability): number {
  return one.capabilityId < other.capabilityId ? -1 : 1;
}
