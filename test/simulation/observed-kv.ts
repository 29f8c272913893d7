import type { HostedProvider, ProviderKind } from "../../actors/provider/provider-kind.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import type { Clock } from "../../src/clock.ts";
import { decode } from "../../src/protocol/codec.ts";
import { applicationData, type SimulatedWorld } from "./simulated-world.ts";

/** The key-value provider in memory, as nodes host it here: it tells which call it performs. */
export function observedKv(world: SimulatedWorld, host: string, provider: string): HostedProvider {
  return {
    provider,
    kind: "kv",
    providerType: "kv",
    backend: "memory",
    config: {},
    create: async ({ clock }) => observed(world, host, clock),
  };
}

/** The same for whoever starts one by command. */
export function observedKvKind(world: SimulatedWorld, host: string): ProviderKind {
  const create: HostedProvider["create"] = async ({ clock }) => observed(world, host, clock);
  return {
    kind: "kv",
    providerType: "kv",
    describe: "key-value",
    backends: new Map([["memory", { describe: "in memory", create }]]),
  };
}

function observed(world: SimulatedWorld, host: string, clock: Clock): Capability {
  const kv = createMemoryKv({ clock });
  return {
    ...kv,
    providerType: kv.providerType,
    call(scope, operation, payload) {
      const { value } = decode(payload).value as { value?: Uint8Array };
      const [data, uid = ""] = new TextDecoder().decode(value).split(" ");
      if (data === applicationData)
        world.observe({ type: "call.performed", host, uid, instanceId: scope.instanceId });
      return kv.call(scope, operation, payload);
    },
    close: () => kv.close(),
  };
}
