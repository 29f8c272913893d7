import type { InstanceView } from "./view.ts";

/**
 * What a node's instance table comes to, in 64 bits: the exclusive or of a hash of each instance that is not
 * stopped. A node and whoever listens to it compute the same from the same facts; when they differ, a fact was
 * missed. It finds mistakes, not attackers.
 */
export interface Digest {
  sum: [number, number];
  /** Instances that changed since the sum was taken. Hashing waits until somebody asks. */
  readonly changed: Set<InstanceView>;
}

export function createDigest(): Digest {
  return { sum: [0, 0], changed: new Set() };
}

/** Takes a removed instance out of the sum. */
export function forget(digest: Digest, instance: InstanceView): void {
  digest.changed.delete(instance);
  add(digest, instance.share);
  instance.share = [0, 0];
}

/** The digest as 16 hex digits. */
export function digestText(digest: Digest): string {
  for (const instance of digest.changed) {
    add(digest, instance.share);
    instance.share = instance.status === "stopped" ? [0, 0] : shareOf(instance);
    add(digest, instance.share);
  }
  digest.changed.clear();
  return digest.sum.map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

function add(digest: Digest, share: readonly [number, number]): void {
  digest.sum[0] ^= share[0];
  digest.sum[1] ^= share[1];
}

function shareOf(instance: InstanceView): readonly [number, number] {
  const grants = [...instance.assignments.values()].map(
    (grant) =>
      `${grant.capabilityId} ${grant.providerType} ${grant.provider ?? ""} ${grant.permissions.join(",")} ${JSON.stringify(grant.config)}`,
  );
  const text = `${instance.spec.instanceId} ${instance.spec.incarnation} ${instance.status} ${instance.restarts} ${grants.toSorted().join(";")}`;
  return [fnv1a(text, 0x811c9dc5), fnv1a(text, 0x9747b28c)];
}

/** FNV-1a over UTF-16 units (Fowler, Noll, Vo); the second half only differs in where it starts. */
function fnv1a(text: string, start: number): number {
  let hash = start;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash;
}
