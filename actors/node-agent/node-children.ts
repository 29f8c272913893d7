import type { Bus, BusMessage } from "../../src/bus/bus.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import type { Clock } from "../../src/clock.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import { nodeLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { productVersion } from "../../src/protocol/version.ts";
import type { LatticeWatch } from "../lattice-watch/lattice-watch.ts";
import { openProviderCalls } from "../provider/provider-calls.ts";
import { type ProviderInput, providerMachine } from "../provider/provider-machine.ts";
import type { ChildSpec } from "../supervisor/child-spec.ts";
import { engineChild, type EngineChildInput } from "./engine-child.ts";

/** A provider that a node hosts; `backend` says what it is made of: `memory`. */
export interface HostedProvider {
  provider: string;
  capability: Capability;
  backend: string;
}

/** The engine as its supervisor runs it: back at once, and without end. */
export function engineSpec(input: EngineChildInput): ChildSpec {
  return {
    id: "engine",
    logic: engineChild,
    input,
    restart: "permanent",
    policy: {
      type: "backoff",
      delayMs: nodeLimits.engineDelayMs,
      maxDelayMs: nodeLimits.engineDelayMsMax,
      maxRetries: nodeLimits.engineRetriesMax,
    },
  };
}

/** A provider as its supervisor runs it. */
export function providerSpec(
  hosted: HostedProvider & {
    lattice: string;
    nodeId: string;
    bus: Bus;
    clock: Clock;
    log: Log;
    watch: LatticeWatch;
    inProgress: Set<() => Iterable<BusMessage>>;
    state: Speaker["state"];
  },
): ChildSpec {
  const { provider, capability, backend, state } = hosted;
  const input: ProviderInput = {
    info: { provider, providerType: capability.providerType, backend, version: productVersion },
    state,
    open: (onBroken) => openProviderCalls({ ...hosted, onBroken }),
  };
  // Transient: told to stop it completes, and must not come back.
  return {
    id: `provider-${provider}`,
    logic: providerMachine,
    input,
    restart: "transient",
    policy: { type: "backoff" },
  };
}
