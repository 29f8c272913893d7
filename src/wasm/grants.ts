import { decode } from "../protocol/codec.ts";
import { Failure } from "../protocol/errors.ts";
import { echo } from "../protocol/ids.ts";
import type { Assignment } from "../protocol/instance-spec.ts";
import {
  operationsOf,
  permissionFor,
  type PermissionSet,
  permissionSet,
  permitsCall,
} from "../protocol/permissions.ts";

/** The grants of one instance, as its cell enforces them at every call. */
export interface Grants {
  /**
   * The provider to ask. Throws PERMISSION_DENIED with `details.permission` when nothing grants the operation, and
   * INVALID_REQUEST for an operation that no provider of that type has.
   */
  check(capabilityId: string, providerType: string, operation: string, payload: Uint8Array): string;
  /** The id of the grant that is meant; see `GuestHost.capabilityFor`. */
  find(providerType: string, wanted: string | undefined): string;
  /** Throws PERMISSION_DENIED unless a `call` grant covers the operation of that guest. */
  checkCall(target: string, operation: string): void;
  /** The name that a `call` grant links to an interface; see `GuestHost.linkedTarget`. */
  linkedTarget(interfaceName: string): string | undefined;
}

interface Grant {
  readonly providerType: string;
  readonly provider: string;
  readonly permissions: PermissionSet;
}

/** Grants out of assignments. */
export function createGrants(instance: string, assignments: readonly Assignment[]): Grants {
  const grants = new Map<string, Grant>(
    assignments.map((one) => [
      one.capabilityId,
      {
        providerType: one.providerType,
        provider: one.provider ?? one.providerType,
        permissions: permissionSet(one.providerType, one.permissions),
      },
    ]),
  );
  const calls = assignments.filter((one) => one.providerType === "call");

  const denied = (capabilityId: string, providerType: string, permission: string) => {
    const id = capabilityId.slice(0, 64);
    return new Failure("PERMISSION_DENIED", `${instance} has no ${shown(permission)} through ${echo(id)}`, {
      fix: `Grant it: wasmatrix assign ${instance} ${id}=${shown(permission)}`,
      details: { permission: shown(permission), capabilityId: id, providerType },
    });
  };

  return {
    check(capabilityId, providerType, operation, payload) {
      const needed = permissionFor(providerType, operation);
      if (needed === undefined) throw unknownOperation(providerType, operation);
      const grant = grants.get(capabilityId);
      if (grant?.providerType !== providerType) throw denied(capabilityId, providerType, needed);
      const missing = grant.permissions.missing(operation, () => decode(payload).value);
      if (missing === undefined) return grant.provider;
      throw denied(capabilityId, providerType, missing);
    },
    find(providerType, wanted) {
      if (wanted !== undefined && grants.get(wanted)?.providerType === providerType) return wanted;
      const ids = [...grants].filter(([, one]) => one.providerType === providerType).map(([id]) => id);
      const [only] = ids;
      if (only === undefined) throw denied(wanted ?? providerType, providerType, `${providerType}:…`);
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
      if (calls.some((one) => permitsCall(one.permissions, target, operation))) return;
      throw denied(target, "call", `call:${target}`);
    },
    linkedTarget(interfaceName) {
      const last = interfaceName.slice(interfaceName.lastIndexOf("/") + 1);
      const link =
        calls.find((one) => one.config["interface"] === interfaceName) ??
        calls.find((one) => one.capabilityId === last);
      return link?.permissions[0]?.split(":", 2)[1];
    },
  };
}

/** A permission as a message may show it: it can hold a key or a topic that the guest chose. */
function shown(permission: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what this removes.
  return permission.slice(0, 128).replaceAll(/[^\x21-\x7e]/g, "?");
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
