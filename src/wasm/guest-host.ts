import type { BusMessage } from "../bus/bus.ts";
import { auditLimits } from "../limits.ts";
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
import { type Grants, shown } from "./grants.ts";
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
    const asked = { capabilityId: id, providerType, operation };
    const provider = permitted(parts, hosted, asked, (granted) =>
      granted.check(id, providerType, operation, payload),
    );
    const onUses = (permissions: string) => grants().notedUse(permissions, id);
    const { lattice, nodeId } = parts;
    const route = { lattice, nodeId, provider, operation, onUses, ...limitsOf() };
    try {
      return await callProvider(bus, route, { instanceId, incarnation, capabilityId: id, payload });
    } catch (error) {
      tellDenial(parts, hosted, asked, error);
      throw error;
    }
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
    linkedTarget(interfaceName) {
      const target = grants().linkedTarget(interfaceName);
      if (target === undefined) {
        const capabilityId = interfaceName.slice(interfaceName.lastIndexOf("/") + 1);
        tellDenial(parts, hosted, { capabilityId, providerType: "call", operation: "" }, notLinked);
      }
      return target;
    },
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

/** What was asked for. */
interface Asked {
  readonly capabilityId: string;
  readonly providerType: string;
  readonly operation: string;
}

/** Asks the grants of now; a denial is reported before it is thrown. */
function permitted<Answer>(
  parts: CellParts,
  hosted: HostedGuest,
  asked: Asked,
  ask: (grants: Grants) => Answer,
): Answer {
  try {
    return ask(hosted.grants());
  } catch (error) {
    tellDenial(parts, hosted, asked, error);
    throw error;
  }
}

/** No grant links the interface; which guest it would lead to, whoever grants it decides. */
const notLinked = new Failure("PERMISSION_DENIED", "no grant links the interface to a guest", {
  details: { permission: "call:<name>" },
});

/**
 * Reports a refusal, of the cell or of a provider: that one states none itself, so each is reported once. That a copy is
 * fenced lacks no grant, and is a fact of its own.
 */
function tellDenial({ denied }: CellParts, { spec }: HostedGuest, asked: Asked, error: unknown): void {
  if (!(error instanceof Failure) || error.code !== "PERMISSION_DENIED") return;
  const { permission = "", permissions = [permission], fencedBy } = error.details ?? {};
  if (fencedBy !== undefined || !Array.isArray(permissions)) return;
  for (const one of permissions.slice(0, auditLimits.grantPermissionsMax))
    denied({
      type: "capability.denied",
      instanceId: spec.instanceId,
      capabilityId: asked.capabilityId.slice(0, 64),
      providerType: asked.providerType.slice(0, 64),
      operation: asked.operation.slice(0, 64),
      permission: typeof one === "string" ? shown(one) : "",
    });
}

/**
 * Notes the grant under which a provider passes on what comes from outside: it says so in the call, and those who call
 * such an operation themselves do not.
 */
export function noteIncoming(grants: Grants, operation: string, message: BusMessage): void {
  if (!incomingOperations.has(operation)) return;
  const uses = message.header(headers.uses);
  if (uses !== undefined) grants.notedUse(uses);
}

/** The operations by which providers call guests. */
const incomingOperations: ReadonlySet<string> = new Set(["handle-message", "http-request"]);

/** The headers that are taken from a call and passed on with what its guest asks for. */
function passedOn(message: BusMessage | undefined): Record<string, string> | undefined {
  if (message === undefined || message.headerNames().length === 0) return undefined;
  let found: Record<string, string> | undefined;
  for (const name of [headers.correlationId, headers.traceparent]) {
    const value = message.header(name);
    if (value !== undefined) found = { ...found, [name]: value };
  }
  return found;
}
