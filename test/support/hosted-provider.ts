import type { HostedProvider } from "../../actors/provider/provider-kind.ts";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";

/** A kv provider in memory, as a node hosts it; each of its lives begins empty. */
export function memoryKvProvider(provider = "kv"): HostedProvider {
  return {
    provider,
    kind: "kv",
    providerType: "kv",
    backend: "memory",
    config: {},
    create: async () => createMemoryKv(),
  };
}
