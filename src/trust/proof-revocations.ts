import { proofLimits } from "../limits.ts";

/** Grants that were revoked, by their ids. */
export interface Revocations {
  /** Whether that grant is over. */
  has(grantId: string): boolean;
  add(grantIds: Iterable<string>, nowMs: number): void;
  /** All of them, in messages of a size that can be sent. */
  told(): string[][];
}

/** Remembers the latest: for a day, and as many as there is room for. */
export function createRevocations(): Revocations {
  /** When each was heard of; the oldest come first. */
  const revoked = new Map<string, number>();
  return {
    has: (grantId) => revoked.has(grantId),
    add(grantIds, nowMs) {
      for (const grantId of grantIds) if (!revoked.has(grantId)) revoked.set(grantId, nowMs);
      for (const [grantId, atMs] of revoked) {
        if (revoked.size <= proofLimits.revokedMax && atMs + proofLimits.revokedMs >= nowMs) break;
        revoked.delete(grantId);
      }
    },
    told() {
      const ids = [...revoked.keys()];
      const size = proofLimits.revokedPerMessageMax;
      return Array.from({ length: Math.ceil(ids.length / size) }, (_, index) =>
        ids.slice(index * size, (index + 1) * size),
      );
    },
  };
}
