import type { BusMessage } from "../bus/bus.ts";
import { headers } from "../protocol/calls.ts";
import { Failure } from "../protocol/errors.ts";
import { callProvider, type CapabilityRoute, configType, readConfig } from "./capability-calls.ts";
import type { CellParts } from "./cell-parts.ts";
import type { GuestSpec } from "./engine.ts";
import type { Grants } from "./grants.ts";
import type { GuestLog } from "./guest-log.ts";
import type { GuestHost } from "./guests/guest.ts";

/** The call that a guest works on. */
export interface CallInProgress {
  readonly message: BusMessage;
  readonly operation: string;
  /** When its time is up, ms since 1970. */
  readonly untilMs: number;
}

/** Whose host it is; the functions are asked anew each time, for grants and calls change while a guest lives. */
export interface HostedGuest {
  readonly slot: number;
  readonly spec: GuestSpec;
  readonly log: GuestLog;
  readonly grants: () => Grants;
  readonly inProgress: () => CallInProgress | undefined;
  /** Whether this life of the guest is still the instance's. */
  readonly isCurrent: () => boolean;
}

/** Ends a guest that comes back after its call was given up. Not a `Failure`: no guest may handle it. */
class Abandoned extends Error {
  override readonly name = "Abandoned";
}

/** The way out of one life of a guest: what it asks after its end is refused by throwing. */
export function createGuestHost(parts: CellParts, hosted: HostedGuest): GuestHost {
  const { bus, clock, runQueue } = parts;
  const { slot, spec, log, isCurrent } = hosted;

  /** Every way by which a guest is suspended and goes on. */
  const suspend = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    runQueue.rested(slot);
    const [outcome] = await Promise.allSettled([work()]);
    await runQueue.turn(slot);
    if (!isCurrent()) throw new Abandoned("the call was given up while it waited");
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  };

  return {
    instanceId: spec.instanceId,
    config: spec.config,
    now: () => clock.now(),
    log,
    sleep: (ms) => suspend(() => new Promise((resolve) => void clock.setTimeout(resolve, ms))),
    callCapability: (capabilityId, providerType, operation, payload) =>
      suspend(async () => {
        if (providerType === configType) return readConfig(spec.config, operation, payload);
        const { instanceId, incarnation } = spec;
        const route = checkedRoute(parts, hosted, capabilityId, providerType, operation);
        return callProvider(bus, route, { instanceId, incarnation, capabilityId, payload });
      }),
  };
}

/** Where the call goes, once it is permitted; a denial is reported before it is thrown. */
function checkedRoute(
  { lattice, nodeId, clock, denied }: CellParts,
  { spec, grants, inProgress }: HostedGuest,
  capabilityId: string,
  providerType: string,
  operation: string,
): CapabilityRoute {
  try {
    const provider = grants().check(capabilityId, providerType, operation);
    const call = inProgress();
    const timeoutMs = call === undefined ? spec.limits.timeoutMs : call.untilMs - clock.now();
    return { lattice, nodeId, provider, operation, timeoutMs, headers: passedOn(call?.message) };
  } catch (error) {
    if (error instanceof Failure && error.code === "PERMISSION_DENIED") {
      denied({
        type: "capability.denied",
        instanceId: spec.instanceId,
        capabilityId: capabilityId.slice(0, 64),
        providerType,
        operation,
        permission: String(error.details?.["permission"]),
      });
    }
    throw error;
  }
}

/** The headers that are taken from a call and passed on with what its guest asks for. */
function passedOn(message: BusMessage | undefined): Record<string, string> | undefined {
  if (message === undefined || message.headerNames().length === 0) return undefined;
  const found: Record<string, string> = {};
  for (const name of [headers.correlationId, headers.traceparent]) {
    const value = message.header(name);
    if (value !== undefined) found[name] = value;
  }
  return found;
}
