import type { Assignment, InstanceSpec } from "../protocol/instance-spec.ts";

/**
 * That an instance belongs where it is: signed like a grant, of its module and its settings, so that no node can say that
 * it runs what another was given, nor have its own instances started elsewhere as something else.
 */
export function placementGrant({
  moduleHash,
  config,
}: Pick<InstanceSpec, "moduleHash" | "config">): Assignment {
  return { capabilityId: "placement", providerType: "placement", permissions: [moduleHash], config };
}
