import { failureInAnswer } from "../bus/guest-answers.ts";
import type { Bus } from "../bus/bus.ts";
import { subjectFor } from "../protocol/addresses.ts";
import { type CapabilityCall, headers as guestHeaders } from "../protocol/calls.ts";
import { encode } from "../protocol/codec.ts";
import { Failure } from "../protocol/errors.ts";
import type { GuestLog } from "./guest-log.ts";

const nothing = new Uint8Array(0);

/** A guest's own start configuration, asked for through waPC: no provider and no permission is involved. */
export const configType = "config";

/** Answers `config.get` with the value of the key that is the payload. */
export function readConfig(
  config: Readonly<Record<string, string>>,
  operation: string,
  payload: Uint8Array,
): Uint8Array {
  const key = new TextDecoder().decode(payload);
  if (operation !== "get" || !Object.hasOwn(config, key)) {
    throw new Failure("INVALID_REQUEST", `there is no configuration for ${operation} ${key.slice(0, 64)}`, {
      fix: `Give it at the start: --config ${key.slice(0, 64)}=…`,
    });
  }
  return new TextEncoder().encode(config[key]);
}

/** A line for the guest's own log, written through waPC: the operation is its level. */
export const logType = "logging";

/** Writes one line; the payload is its text. */
export function writeLog(log: GuestLog, operation: string, payload: Uint8Array): Uint8Array {
  log("console", `${operation.slice(0, 16)}: ${Buffer.from(payload).toString("utf8")}`);
  return nothing;
}

/** waPC's provider type for a call of another guest; the binding is the name of that guest. */
export const guestType = "actor";

/** Which guest is called, and for how long its answer is awaited. */
interface GuestRoute {
  readonly lattice: string;
  readonly target: string;
  readonly operation: string;
  readonly timeoutMs: number;
  readonly headers: Record<string, string> | undefined;
}

/**
 * Calls another guest over the bus, wherever it is, and resolves with its answer's bytes. Rejects with the failure
 * that came back, INSTANCE_UNAVAILABLE at once when nobody of that name listens, or TIMEOUT.
 */
export async function callGuest(bus: Bus, route: GuestRoute, payload: Uint8Array): Promise<Uint8Array> {
  const { lattice, target, operation, timeoutMs, headers } = route;
  try {
    const options = headers === undefined ? { timeoutMs } : { timeoutMs, headers };
    const answer = await bus.request(subjectFor("call", { lattice, target, operation }), payload, options);
    const failure = failureInAnswer(answer);
    if (failure !== undefined) throw failure;
    return answer.data;
  } catch (error) {
    if (error instanceof Failure && error.details?.["noResponders"] === true) {
      throw new Failure("INSTANCE_UNAVAILABLE", `no guest ${target} answers`, {
        fix: "Start one of that name, or see why it does not run: wasmatrix ps --all",
        details: { safeToRepeat: true },
        cause: error,
      });
    }
    throw error;
  }
}

/** Where a capability call goes and for whom it is. */
export interface CapabilityRoute {
  readonly lattice: string;
  readonly nodeId: string;
  readonly provider: string;
  readonly operation: string;
  readonly timeoutMs: number;
  /** Correlation and trace of the call that the guest is in, passed on. */
  readonly headers: Record<string, string> | undefined;
  /** Hears of permissions that the provider has used beside those that the call names. */
  readonly onUses?: (permissions: string) => void;
}

/**
 * Asks a provider over the bus and resolves with its answer's bytes. Rejects with the provider's failure, with
 * PROVIDER_UNAVAILABLE at once when nobody listens, or TIMEOUT.
 */
export async function callProvider(
  bus: Bus,
  route: CapabilityRoute,
  call: CapabilityCall,
): Promise<Uint8Array> {
  const { lattice, nodeId: callingNode, provider, operation, timeoutMs, headers } = route;
  const subject = subjectFor("cap", { lattice, provider, callingNode, operation });
  try {
    const options = headers === undefined ? { timeoutMs } : { timeoutMs, headers };
    const answer = await bus.request(subject, encode(call, "msgpack"), options);
    const failure = failureInAnswer(answer);
    const uses = answer.header(guestHeaders.uses);
    if (uses !== undefined) route.onUses?.(uses);
    if (failure !== undefined) throw failure;
    return answer.data;
  } catch (error) {
    if (error instanceof Failure && error.details?.["noResponders"] === true) {
      throw new Failure("PROVIDER_UNAVAILABLE", `no provider "${provider}" answers`, {
        fix: `Start one: wasmatrix provider ${provider}`,
        cause: error,
      });
    }
    throw error;
  }
}
