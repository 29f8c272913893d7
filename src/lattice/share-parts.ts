import type { InstanceSpec } from "../protocol/instance-spec.ts";

/**
 * Has a specification use the parts of another one of the same start command that are equal to its own: a thousand instances would
 * otherwise keep a digest, limits and settings each. Whoever reads them sees no difference; nobody may change them.
 */
export function shareParts(spec: InstanceSpec, other: InstanceSpec | undefined): void {
  if (other === undefined || spec.commandId !== other.commandId) return;
  // Equal texts are the same value, and two places in memory until the one takes the place of the other.
  spec.commandId = other.commandId;
  if (spec.moduleHash === other.moduleHash) spec.moduleHash = other.moduleHash;
  if (spec.createdAt === other.createdAt) spec.createdAt = other.createdAt;
  if (spec.name === other.name && other.name !== undefined) spec.name = other.name;
  if (isSame(spec.restartPolicy, other.restartPolicy)) spec.restartPolicy = other.restartPolicy;
  if (isSame(spec.limits, other.limits)) spec.limits = other.limits;
  if (isSame(spec.config, other.config)) spec.config = other.config;
  if (isSame(spec.requires, other.requires)) spec.requires = other.requires;
  if (isSame(spec.capabilities, other.capabilities)) spec.capabilities = other.capabilities;
}

/** Whether two values that came as JSON or MessagePack are equal. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null)
    return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  let keys = 0;
  for (const key in one) {
    keys += 1;
    if (!isSame((one as Record<string, unknown>)[key], (other as Record<string, unknown>)[key])) return false;
  }
  for (const _ in other) keys -= 1;
  return keys === 0;
}
