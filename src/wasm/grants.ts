import { auditLimits } from "../limits.ts";
import { decode } from "../protocol/codec.ts";
import { Failure } from "../protocol/errors.ts";
import { echo, isId } from "../protocol/ids.ts";
import type { Assignment } from "../protocol/instance-spec.ts";
import {
  operationsOf,
  permissionFor,
  permissionsOf,
  type PermissionSet,
  permissionSet,
  permitsCall,
  providerTypeOf,
} from "../protocol/permissions.ts";
import { allMissing } from "../protocol/permission-use.ts";
import { type GrantUse, type UsedGrant, watchGrant } from "./used-grants.ts";

/** The grants of one instance, as its cell enforces them at every call. */
export interface Grants {
  /**
   * The provider to ask. Throws PERMISSION_DENIED with `details.permission` when nothing grants the operation, and
   * INVALID_REQUEST for an operation that no provider of that type has.
   */
  check(capabilityId: string, providerType: string, operation: string, payload: Uint8Array): string;
  /**
   * The id of the grant that is meant; see `GuestHost.capabilityFor`. In an audit one that is not there is found as well:
   * nothing is permitted by it.
   */
  find(providerType: string, wanted: string | undefined): string;
  /** Throws PERMISSION_DENIED unless a `call` grant covers the operation of that guest. */
  checkCall(target: string, operation: string): void;
  /** The name that a `call` grant links to an interface; see `GuestHost.linkedTarget`. */
  linkedTarget(interfaceName: string): string | undefined;
  /**
   * Notes permissions, with commas between them, that a provider says it has used: of the grant of that id, or of every
   * one that has them. It is for the record alone.
   */
  notedUse(permissions: string, capabilityId?: string): void;
}

interface Grant {
  readonly providerType: string;
  readonly provider: string;
  readonly granted: readonly string[];
  readonly permissions: PermissionSet;
  readonly used: UsedGrant;
}

/** As many as one grant may have. */
const permissionsMax = auditLimits.grantPermissionsMax;

/** Who hears of each permission when a call first rests on it, and how refusals are to be. */
export interface GrantsOptions {
  readonly tell?: (use: GrantUse) => void;
  /** Whether the guest is run to see what it needs. */
  readonly isAudited?: boolean;
}

/** Grants out of assignments. */
export function createGrants(
  instance: string,
  assignments: readonly Assignment[],
  { tell = () => {}, isAudited = false }: GrantsOptions = {},
): Grants {
  const grants = new Map<string, Grant>(
    assignments.map((one) => [
      one.capabilityId,
      {
        providerType: one.providerType,
        provider: one.provider ?? one.providerType,
        granted: one.permissions,
        permissions: permissionSet(one.providerType, one.permissions),
        used: watchGrant(one, tell),
      },
    ]),
  );
  const calls = assignments.filter((one) => one.providerType === "call");

  const denied = (
    capabilityId: string,
    providerType: string,
    permission: string,
    everything: readonly string[] = [],
  ) => {
    const id = capabilityId.slice(0, 64);
    return new Failure("PERMISSION_DENIED", `${instance} has no ${shown(permission)} through ${echo(id)}`, {
      fix: `Grant it: wasmatrix assign ${instance} ${id}=${shown(permission)}`,
      details: {
        permission: shown(permission),
        ...(everything.length === 0 ? {} : { permissions: everything.slice(0, permissionsMax).map(shown) }),
        capabilityId: id,
        providerType,
      },
    });
  };

  return {
    check(capabilityId, providerType, operation, payload) {
      const needed = permissionFor(providerType, operation);
      if (needed === undefined) throw unknownOperation(providerType, operation);
      const value = decodedOnce(payload);
      const grant = grants.get(capabilityId);
      const isOfType = grant?.providerType === providerType;
      const missing = isOfType
        ? grant.permissions.missing(operation, value)
        : missingWithoutGrant(providerType, operation, value, needed);
      if (missing !== undefined || grant === undefined) {
        const granted = isOfType ? grant.granted : [];
        const everything =
          isAudited && isDecodable(value) ? allMissing(providerType, granted, operation, value) : [];
        // What it has of that is needed as well, once it has the rest.
        if (everything.length > 0 && isOfType) grant.used.called(operation, value);
        throw denied(capabilityId, providerType, missing ?? needed, everything);
      }
      grant.used.called(operation, value);
      return grant.provider;
    },
    find(providerType, wanted) {
      if (wanted !== undefined && grants.get(wanted)?.providerType === providerType) return wanted;
      const ids = [...grants].filter(([, one]) => one.providerType === providerType).map(([id]) => id);
      const [only] = ids;
      if (only === undefined) {
        const meant = isId(wanted) ? wanted : providerType;
        // What it does with it is refused, and says more exactly what is missing.
        if (isAudited) return meant;
        throw denied(meant, providerType, permissionsOf(providerType)[0] ?? `${providerType}:*`);
      }
      if (ids.length === 1) return only;
      throw new Failure(
        "INVALID_REQUEST",
        `${instance} has several grants of ${providerType}: none is meant`,
        {
          fix: `Name one of them: ${ids.join(", ")}.`,
          details: { capabilityIds: ids },
        },
      );
    },
    checkCall(target, operation) {
      const granted = calls.find((one) => permitsCall(one.permissions, target, operation));
      if (granted === undefined)
        throw denied(target, "call", `call:${target}`, isAudited ? [`call:${target}:${operation}`] : []);
      grants.get(granted.capabilityId)?.used.calledGuest(target, operation);
    },
    linkedTarget(interfaceName) {
      const last = interfaceName.slice(interfaceName.lastIndexOf("/") + 1);
      const link =
        calls.find((one) => one.config["interface"] === interfaceName) ??
        calls.find((one) => one.capabilityId === last);
      return link?.permissions[0]?.split(":", 2)[1];
    },
    notedUse(permissions, capabilityId) {
      for (const permission of permissions.split(",", auditLimits.usesPerAnswerMax)) {
        const type = providerTypeOf(permission);
        for (const [id, { providerType, used }] of grants)
          if (providerType === type && (capabilityId === undefined || id === capabilityId))
            used.usedAs(permission);
      }
    },
  };
}

function isDecodable(payload: () => unknown): boolean {
  try {
    payload();
    return true;
  } catch {
    return false;
  }
}

/** Written so that it can be granted: with its topic, say. What is no payload at all is refused all the same. */
function missingWithoutGrant(
  providerType: string,
  operation: string,
  payload: () => unknown,
  needed: string,
): string {
  return (
    (isDecodable(payload) ? permissionSet(providerType, []).missing(operation, payload) : undefined) ?? needed
  );
}

/** Both who checks and who notes may look at it, and mostly neither does. */
function decodedOnce(payload: Uint8Array): () => unknown {
  let decoded: { value: unknown } | undefined;
  return () => (decoded ??= decode(payload)).value;
}

/** A permission as a message may show it: it can hold a key or a topic that the guest chose. */
export function shown(permission: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes.
  return permission.slice(0, auditLimits.permissionCharactersShown).replaceAll(/[^\x21-\x7e]/g, "?");
}

function unknownOperation(providerType: string, operation: string): Failure {
  return new Failure(
    "INVALID_REQUEST",
    `there is no operation ${operation} of ${providerType}`.slice(0, 160),
    {
      fix: `Use one of: ${(operationsOf(providerType) ?? []).join(", ")}.`,
    },
  );
}
