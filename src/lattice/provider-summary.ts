import type { ProviderSummary } from "../protocol/commands.ts";
import type { ProviderView } from "./view.ts";

/** A provider as answers show it. */
export function providerSummary({ nodeId, info, status, since, reason }: ProviderView): ProviderSummary {
  const { provider, providerType, backend, version, kind, restarts, address } = info;
  return {
    provider,
    providerType,
    nodeId,
    status,
    ...(kind === undefined ? {} : { kind }),
    backend,
    version,
    since,
    ...(restarts === undefined ? {} : { restarts }),
    ...(address === undefined || !servingStatuses.has(status) ? {} : { address }),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** A provider of these serves calls. */
export const servingStatuses: ReadonlySet<ProviderSummary["status"]> = new Set(["available", "unwell"]);

/** A provider of these is gone until somebody starts it; its name is free. */
export const endedStatuses: ReadonlySet<ProviderSummary["status"]> = new Set(["stopped", "gave-up"]);
