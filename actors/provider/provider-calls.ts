import type { Bus, BusMessage } from "../../src/bus/bus.ts";
import { respondFailure } from "../../src/bus/guest-answers.ts";
import type { ByteStreams } from "../../src/byte-source.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import type { Clock } from "../../src/clock.ts";
import { auditLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { filterFor, parametersOf } from "../../src/protocol/addresses.ts";
import { type CapabilityCall, headers } from "../../src/protocol/calls.ts";
import { decode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { isId } from "../../src/protocol/ids.ts";
import { operationsOf, permissionFor } from "../../src/protocol/permissions.ts";
import type { LatticeWatch } from "../lattice-watch/lattice-watch.ts";
import { createGrants, type Grant } from "./grants.ts";
import type { Proofs } from "./proofs.ts";

/** The bus side of a provider that is open for calls. */
export interface ProviderCalls {
  /** No new calls from here on; resolves once those in progress are answered. */
  stop(): Promise<void>;
}

/** What a provider's bus side needs. */
export interface ProviderCallsOptions {
  lattice: string;
  /** Its name on the lattice, and the queue group of all that serve it. */
  provider: string;
  capability: Capability;
  /** Bodies that do not fit a call or its answer. */
  streams: ByteStreams;
  bus: Bus;
  clock: Clock;
  log: Log;
  watch: LatticeWatch;
  /** Absent where the word of a node is enough. */
  proofs?: Proofs | undefined;
  /** Where it says which calls it works on, while it is open. */
  inProgress: Set<() => Iterable<BusMessage>>;
  /** The server refused its subscription: nobody can call it. */
  onBroken: (reason: string) => void;
}

/**
 * Serves the capability calls of one provider: checks, at every call, that the instance lives on the node that
 * the subject names and has a grant for this provider that covers the operation, then asks the capability.
 */
export function openProviderCalls(options: ProviderCallsOptions): ProviderCalls {
  const { lattice, provider, capability, streams, bus, clock, log, watch, onBroken } = options;
  const { providerType } = capability;
  const grants = createGrants({ lattice, provider, providerType, bus, clock, watch, proofs: options.proofs });
  const filter = filterFor("cap", { lattice, provider });
  const answers = new Map<BusMessage, Promise<void>>();
  const calls = () => answers.keys();
  let stopping: Promise<void> | undefined;

  function hear(message: BusMessage): void {
    answers.set(
      message,
      answer(message).finally(() => answers.delete(message)),
    );
  }

  async function answer(message: BusMessage): Promise<void> {
    try {
      const { callingNode = "", operation = "" } = parametersOf("cap", message.subject);
      const call = readCall(message.data);
      if (permissionFor(providerType, operation) === undefined)
        throw unknownOperation(providerType, operation);
      grants.refuseFenced(callingNode, call);
      let grant = grants.find(callingNode, operation, call);
      if (grant === undefined) {
        grant = await grants.findOrAsk(callingNode, operation, call);
        // Another copy may have taken its place while its node was asked.
        grants.refuseFenced(callingNode, call);
      }
      const uses: string[] = [];
      const answer = await perform(call, grant, operation, uses);
      if (uses.length === 0) message.respond(answer);
      else message.respond(answer, { [headers.uses]: uses.slice(-auditLimits.usesPerAnswerMax).join(",") });
    } catch (error) {
      if (!(error instanceof Failure))
        log.error({ provider, error: String(error) }, "a capability call ran into a bug");
      refuse(message, error);
    }
  }

  function perform(
    call: CapabilityCall,
    { name, assignment }: Grant,
    operation: string,
    uses: string[],
  ): Promise<Uint8Array> {
    const { config, permissions } = assignment;
    const used = (permission: string) => void uses.push(permission);
    const scope = { lattice, instanceId: call.instanceId, name, config, permissions, streams, used };
    return capability.call(scope, operation, call.payload);
  }

  function refuse(message: BusMessage, error: unknown): void {
    try {
      respondFailure(message, error, clock.now());
    } catch (reason) {
      log.warn({ provider, reason: String(reason) }, "a capability call could not be answered");
    }
  }

  async function stop(): Promise<void> {
    forgetStatus();
    await subscription.drain();
    await Promise.all(answers.values());
    options.inProgress.delete(calls);
    grants.end();
  }

  const forgetStatus = bus.onStatus((status) => {
    if (status.type === "refused" && status.operation === "subscribe" && status.subject === filter)
      onBroken(
        `the bus refuses to deliver calls on ${filter}: its credentials are not those of this provider`,
      );
  });
  const subscription = bus.subscribe(filter, hear, { queue: provider });
  options.inProgress.add(calls);
  return {
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** The call in a message, checked by hand: a schema would cost more than the whole operation. */
function readCall(data: Uint8Array): CapabilityCall {
  const value = decode(data).value as Partial<Record<keyof CapabilityCall, unknown>>;
  const { instanceId, incarnation, capabilityId, payload } = value;
  if (
    isId(instanceId) &&
    Number.isSafeInteger(incarnation) &&
    isId(capabilityId) &&
    payload instanceof Uint8Array
  )
    return { instanceId, incarnation: incarnation as number, capabilityId, payload };
  throw new Failure(
    "INVALID_REQUEST",
    "a capability call has an instanceId, an incarnation, a capabilityId and a payload of bytes",
    {
      fix: "Send a MessagePack map with these four fields.",
    },
  );
}

function unknownOperation(providerType: string, operation: string): Failure {
  const known = (operationsOf(providerType) ?? []).join(", ");
  return new Failure("INVALID_REQUEST", `${providerType} has no operation ${operation}`, {
    fix: `There are: ${known}.`,
  });
}
