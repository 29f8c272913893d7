import { nodeLimits, providerLifeLimits, restartLimits } from "../../src/limits.ts";
import { type ProviderInput, providerMachine } from "../provider/provider-machine.ts";
import type { ChildSpec } from "../supervisor/child-spec.ts";
import { engineChild, type EngineChildInput } from "./engine-child.ts";

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

/** A provider as its supervisor runs it: back with growing pauses, until it is given up. */
export function providerSpec(input: ProviderInput): ChildSpec {
  // Transient: told to stop it completes, and must not come back.
  return {
    id: providerChildId(input.seat.hosted.provider),
    logic: providerMachine,
    input,
    restart: "transient",
    policy: {
      type: "backoff",
      delayMs: providerLifeLimits.restartDelayMs,
      maxDelayMs: providerLifeLimits.restartDelayMsMax,
      maxRetries: providerLifeLimits.restartsMax,
    },
    stopMs: providerLifeLimits.drainMs + providerLifeLimits.closeMs + restartLimits.supervisorStopMs,
  };
}

/** The name of a provider among the parts of its node. */
export function providerChildId(provider: string): string {
  return `provider-${provider}`;
}
