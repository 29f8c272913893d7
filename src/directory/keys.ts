import { assertId, isId } from "../protocol/ids.ts";

/** What every key of a lattice's nodes begins with. */
export function nodesPrefix(lattice: string): string {
  assertId(lattice, "lattice");
  return `/wasmatrix/${lattice}/nodes/`;
}

/** The key of a node's record. */
export function nodeKey(lattice: string, nodeId: string): string {
  assertId(nodeId, "nodeId");
  return `${nodesPrefix(lattice)}${nodeId}`;
}

/** The key of a provider's record on one of its hosts. */
export function providerKey(lattice: string, provider: string, nodeId: string): string {
  assertId(lattice, "lattice");
  assertId(provider, "provider");
  assertId(nodeId, "nodeId");
  return `/wasmatrix/${lattice}/providers/${provider}/${nodeId}`;
}

/** The node that a key below the prefix names, or undefined. */
export function nodeIn(prefix: string, key: string): string | undefined {
  const nodeId = key.slice(prefix.length);
  return key.startsWith(prefix) && isId(nodeId) ? nodeId : undefined;
}
