import { assertId } from "../../src/protocol/ids.ts";

/** The nodes that a control plane was told to expect. */
export interface ExpectedNodes {
  heard(nodeId: string): void;
  /** Those of which nothing was ever heard, in the order in which they were given. */
  neverHeard(): string[];
}

/** A node counts as heard from its first fact on, also when it leaves later. INVALID_REQUEST for what is no id. */
export function createExpectedNodes(nodeIds: Iterable<string>): ExpectedNodes {
  const missing = new Set(nodeIds);
  for (const nodeId of missing) assertId(nodeId, "expectNodes");
  return {
    heard(nodeId) {
      missing.delete(nodeId);
    },
    neverHeard: () => [...missing],
  };
}
