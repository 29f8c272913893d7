import { auditLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import type { Assignment } from "../protocol/instance-spec.ts";
import { builtInType, type Permission } from "../protocol/permissions.ts";
import { callUse, coverOf, type PermissionUse, usesOf } from "../protocol/permission-use.ts";

/** The use of a granted permission, or one more thing that it is used for. */
export interface GrantUse {
  readonly capabilityId: string;
  /** As it was granted. */
  readonly permission: Permission;
  /** The narrowest permission that would have been enough; without one nothing less than the whole is known to be. */
  readonly exactly?: Permission;
}

/** Notes what a grant is used for; each of these is a look into a set once there is nothing new to tell. */
export interface UsedGrant {
  /** An operation that the grant permitted. */
  called(operation: string, payload: () => unknown): void;
  /** A call of another guest that the grant permitted. */
  calledGuest(target: string, operation: string): void;
  /** What its provider said that it has used; a text that is no permission, or not covered, is nothing. */
  usedAs(wanted: Permission): void;
}

/**
 * Tells each permission of a grant once, when a call first rests on it, and up to `exactPermissionsMax` narrower ones
 * that would do in its place.
 */
export function watchGrant(
  { capabilityId, providerType, permissions }: Assignment,
  tell: (use: GrantUse) => void,
): UsedGrant {
  const told = new Map<Permission, Set<Permission>>();
  /** Of which nothing narrower can be told, or not any more. */
  const whole = new Set<Permission>();
  /** Operations of which nothing new can be told. Of a type of somebody's own a guest could name any number. */
  const settled = new Set<string>();
  /** How many were whole when it was last looked whether an operation is settled. */
  const lookedAt = new Map<string, number>();
  const type = builtInType(providerType);

  function note({ permission, exactly }: PermissionUse): void {
    if (whole.has(permission)) return;
    const seen = told.get(permission) ?? new Set<Permission>();
    if (exactly !== undefined && seen.has(exactly)) return;
    if (exactly === undefined || seen.size >= auditLimits.exactPermissionsMax) {
      whole.add(permission);
      return tell({ capabilityId, permission });
    }
    told.set(permission, seen.add(exactly));
    tell({ capabilityId, permission, exactly });
  }

  function settle(operation: string): void {
    const needed = type?.operations.get(operation);
    if (needed === undefined || lookedAt.get(operation) === whole.size) return;
    lookedAt.set(operation, whole.size);
    const words = [needed.permission, needed.also, ...(providerType === "http" ? ["http:domain"] : [])];
    const concerned = permissions.filter((one) =>
      words.some((word) => word !== undefined && (one === word || one.startsWith(`${word}:`))),
    );
    if (concerned.every((one) => whole.has(one))) settled.add(operation);
  }

  return {
    called(operation, payload) {
      if (settled.has(operation)) return;
      try {
        for (const use of usesOf(providerType, permissions, operation, payload)) note(use);
      } catch (error) {
        // A payload that is none: its provider refuses it in its own words.
        if (!(error instanceof Failure)) throw error;
        return;
      }
      settle(operation);
    },
    calledGuest(target, operation) {
      if (permissions.every((one) => whole.has(one))) return;
      const use = callUse(permissions, target, operation);
      if (use !== undefined) note(use);
    },
    usedAs(wanted) {
      const permission = coverOf(providerType, permissions, wanted);
      if (permission === undefined || whole.has(permission)) return;
      note(permission === wanted ? { permission } : { permission, exactly: wanted });
    },
  };
}
