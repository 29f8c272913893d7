/** A permission as it is written in an assignment: `kv:read`. */
export type Permission = string;

/**
 * Which permission each operation of each provider type needs. What is not in here does not exist for a guest.
 * Read by the cell before a call leaves, and by the provider before it acts.
 */
export const operationPermissions: ReadonlyMap<string, ReadonlyMap<string, Permission>> = new Map([
  [
    "kv",
    new Map([
      ["get", "kv:read"],
      ["list", "kv:read"],
      ["exists", "kv:read"],
      ["set", "kv:write"],
      ["increment", "kv:write"],
      ["delete", "kv:delete"],
    ]),
  ],
]);

/** The provider types that there are. */
export function providerTypes(): string[] {
  return [...operationPermissions.keys()];
}

/** The permissions that a provider type knows; empty for an unknown type. */
export function permissionsOf(providerType: string): Permission[] {
  return [...new Set(operationPermissions.get(providerType)?.values() ?? [])];
}

/** What is wrong with granting `permission` on a provider of that type, or undefined. */
export function permissionProblem(providerType: string, permission: Permission): string | undefined {
  const known = permissionsOf(providerType);
  if (known.length === 0) return `unknown provider type; there are: ${providerTypes().join(", ")}`;
  if (known.includes(permission)) return undefined;
  return `unknown permission for ${providerType}; there are: ${known.join(", ")}`;
}
