import { Failure } from "../protocol/errors.ts";
import type { Assignment } from "../protocol/instance-spec.ts";
import { operationPermissions } from "../protocol/permissions.ts";

/** The grants of one instance, as its cell enforces them at every call. */
export interface Grants {
  /**
   * The provider to ask. Throws PERMISSION_DENIED with `details.permission` when nothing grants the operation, and
   * INVALID_REQUEST for an operation that no provider of that type has.
   */
  check(capabilityId: string, providerType: string, operation: string): string;
}

interface Grant {
  readonly providerType: string;
  readonly provider: string;
  readonly permissions: ReadonlySet<string>;
}

/** Grants out of assignments. */
export function createGrants(instance: string, assignments: readonly Assignment[]): Grants {
  const grants = new Map<string, Grant>(
    assignments.map((one) => [
      one.capabilityId,
      {
        providerType: one.providerType,
        provider: one.provider ?? one.providerType,
        permissions: new Set(one.permissions),
      },
    ]),
  );
  return {
    check(capabilityId, providerType, operation) {
      const permission = operationPermissions.get(providerType)?.get(operation);
      if (permission === undefined) {
        throw new Failure(
          "INVALID_REQUEST",
          `there is no operation ${operation} of ${providerType}`.slice(0, 160),
          {
            fix: `Use one of: ${[...(operationPermissions.get(providerType)?.keys() ?? [])].join(", ")}.`,
          },
        );
      }
      const grant = grants.get(capabilityId);
      if (grant?.providerType === providerType && grant.permissions.has(permission)) return grant.provider;
      throw new Failure(
        "PERMISSION_DENIED",
        `${instance} has no ${permission} through "${capabilityId.slice(0, 64)}"`,
        {
          fix: `Grant it: wasmatrix assign ${instance} ${capabilityId.slice(0, 64)}=${permission}`,
          details: { permission, capabilityId: capabilityId.slice(0, 64), providerType },
        },
      );
    },
  };
}
