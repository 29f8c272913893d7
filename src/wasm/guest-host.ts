import type { BusMessage } from "../bus/bus.ts";
import { headers } from "../protocol/calls.ts";
import { Failure } from "../protocol/errors.ts";
import {
  callGuest,
  callProvider,
  configType,
  guestType,
  logType,
  readConfig,
  writeLog,
} from "./capability-calls.ts";
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
  /** Whether its caller has the answer already, while the guest goes on. */
  isAnswered: boolean;
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
  const { bus, clock, runQueue, streams } = parts;
  const { slot, spec, log, grants, inProgress, isCurrent } = hosted;
  const { instanceId, incarnation, config } = spec;

  /** Every way by which a guest is suspended and goes on. */
  const suspend = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    runQueue.rested(slot);
    const [outcome] = await Promise.allSettled([work()]);
    await runQueue.turn(slot);
    if (!isCurrent()) throw new Abandoned("the call was given up while it waited");
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  };

  const beginCapability: GuestHost["beginCapability"] = async (id, providerType, operation, payload) => {
    switch (providerType) {
      case configType:
        return readConfig(config, operation, payload);
      case logType:
        return writeLog(log, operation, payload);
      case guestType:
        return host.beginGuestCall(id, operation, payload);
    }
    const provider = permitted(parts, hosted, { capabilityId: id, providerType, operation }, (granted) =>
      granted.check(id, providerType, operation, payload),
    );
    const route = { lattice: parts.lattice, nodeId: parts.nodeId, provider, operation, ...limitsOf() };
    return callProvider(bus, route, { instanceId, incarnation, capabilityId: id, payload });
  };

  const limitsOf = () => {
    const call = inProgress();
    const timeoutMs = call === undefined ? spec.limits.timeoutMs : call.untilMs - clock.now();
    return { timeoutMs, headers: passedOn(call?.message) };
  };

  const host: GuestHost = {
    instanceId,
    name: spec.name ?? instanceId,
    config,
    streams,
    now: () => clock.now(),
    log,
    sleep: (ms) => suspend(() => new Promise((resolve) => void clock.setTimeout(resolve, ms))),
    after(ms, callback) {
      const timer = clock.setTimeout(callback, ms);
      return () => clock.clearTimeout(timer);
    },
    suspend,
    beginCapability,
    callCapability: (...call) => suspend(() => beginCapability(...call)),
    capabilityFor: (providerType, wanted) =>
      permitted(
        parts,
        hosted,
        { capabilityId: wanted ?? providerType, providerType, operation: "" },
        (granted) => granted.find(providerType, wanted),
      ),
    linkedTarget: (interfaceName) => grants().linkedTarget(interfaceName),
    async beginGuestCall(target, operation, payload) {
      permitted(parts, hosted, { capabilityId: target, providerType: "call", operation }, (granted) =>
        granted.checkCall(target, operation),
      );
      return callGuest(bus, { lattice: parts.lattice, target, operation, ...limitsOf() }, payload);
    },
    answer(bytes) {
      const call = inProgress();
      if (call === undefined || call.isAnswered || !isCurrent()) return;
      call.message.respond(bytes);
      call.isAnswered = true;
    },
  };
  return host;
}

/** Asks the grants of now; a denial is reported before it is thrown. */
function permitted<Answer>(
  { denied }: CellParts,
  { spec, grants }: HostedGuest,
  asked: { capabilityId: string; providerType: string; operation: string },
  ask: (grants: Grants) => Answer,
): Answer {
  try {
    return ask(grants());
  } catch (error) {
    if (error instanceof Failure && error.code === "PERMISSION_DENIED") {
      const { capabilityId, providerType, operation } = asked;
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
