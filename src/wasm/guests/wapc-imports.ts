import { guestTalkLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { answerTooLarge } from "./byte-streams.ts";
import type { GuestHost } from "./guest.ts";
import type { GuestLife } from "./guest-life.ts";

const nothing = new Uint8Array(0);

/** What one waPC call hands back and forth; the guest fetches and leaves its parts by host calls. */
export interface Exchange {
  operation: Uint8Array;
  payload: Uint8Array;
  response: Uint8Array;
  /** What the guest said is wrong. */
  error: string;
  /** Why the response could not be taken. */
  refusal: Failure | undefined;
  hostResponse: Uint8Array;
  hostError: Uint8Array;
  /** The first fetch and the first answer are part of the call; a guest pays for more. */
  isFetched: boolean;
  isAnswered: boolean;
}

/** Nothing said yet. */
export function emptyExchange(): Exchange {
  return {
    operation: nothing,
    payload: nothing,
    response: nothing,
    error: "",
    refusal: undefined,
    hostResponse: nothing,
    hostError: nothing,
    isFetched: false,
    isAnswered: false,
  };
}

/**
 * The host's side of waPC (https://wapc.io/docs/spec/). A pointer outside the guest's memory ends the guest with
 * `OutsideMemory`: the protocol has no way to tell it.
 */
export function wapcImports(
  life: GuestLife,
  host: GuestHost,
  exchange: Exchange,
): Record<string, WebAssembly.ImportValue> {
  const { memory } = life;
  const errorBytesMax = guestTalkLimits.errorTextBytesMax;

  return {
    __guest_request(operation: number, payload: number): void {
      if (exchange.isFetched) {
        life.payCall();
        life.payBytes(exchange.operation.length + exchange.payload.length);
      }
      exchange.isFetched = true;
      memory.write(operation, exchange.operation, "the operation");
      memory.write(payload, exchange.payload, "the payload");
    },

    __guest_response(pointer: number, length: number): void {
      const size = length >>> 0;
      memory.range(pointer, size, "the response");
      if (exchange.isAnswered) {
        life.payCall();
        life.payBytes(size);
      }
      exchange.isAnswered = true;
      exchange.refusal = size > guestTalkLimits.messageBytesMax ? answerTooLarge(size) : undefined;
      exchange.response =
        exchange.refusal === undefined ? memory.read(pointer, size, "the response") : nothing;
    },

    __guest_error(pointer: number, length: number): void {
      life.payCall();
      exchange.error = memory.text(pointer, length, errorBytesMax, "the guest's error");
    },

    __host_call: new WebAssembly.Suspending(hostCall(life, host, exchange)),

    __host_response(pointer: number): void {
      life.payCall();
      life.payBytes(exchange.hostResponse.length);
      memory.write(pointer, exchange.hostResponse, "the host's response");
    },

    __host_response_len(): number {
      life.payCall();
      return exchange.hostResponse.length;
    },

    __host_error(pointer: number): void {
      life.payCall();
      memory.write(pointer, exchange.hostError, "the host's error");
    },

    __host_error_len(): number {
      life.payCall();
      return exchange.hostError.length;
    },

    __console_log(pointer: number, length: number): void {
      life.payCall();
      const text = memory.text(pointer, length, guestTalkLimits.logLineCharsMax, "a line of the log");
      life.payBytes(text.length);
      host.log("console", text);
    },
  };
}

/** `__host_call`: 1 and a host response, or 0 and a host error. */
function hostCall(life: GuestLife, host: GuestHost, exchange: Exchange) {
  const { memory } = life;

  function succeeded(response: Uint8Array): number {
    exchange.hostResponse = response;
    exchange.hostError = nothing;
    return 1;
  }

  function failed(thrown: unknown): number {
    if (!(thrown instanceof Failure)) throw life.end(thrown);
    const text = `${thrown.code}: ${thrown.message}`;
    exchange.hostResponse = nothing;
    exchange.hostError = new Uint8Array(Buffer.from(text).subarray(0, guestTalkLimits.errorTextBytesMax));
    return 0;
  }

  function name(pointer: number, length: number, what: string): string {
    const bytesMax = guestTalkLimits.hostCallNameBytesMax;
    const text = memory.text(pointer, length, bytesMax, what);
    if (length >>> 0 <= bytesMax) return text;
    throw new Failure("INVALID_REQUEST", `${what} has ${length >>> 0} bytes; ${bytesMax} are allowed`, {
      fix: "Name a capability, a provider type and an operation; data belongs in the payload.",
    });
  }

  // The order is the protocol's: pointer and length of each part.
  return (
    bindingAt: number,
    bindingLength: number,
    namespaceAt: number,
    namespaceLength: number,
    operationAt: number,
    operationLength: number,
    payloadAt: number,
    length: number,
  ): number | Promise<number> => {
    life.payCall();
    memory.range(bindingAt, bindingLength, "the binding of a host call");
    memory.range(namespaceAt, namespaceLength, "the namespace of a host call");
    memory.range(operationAt, operationLength, "the operation of a host call");
    memory.range(payloadAt, length, "the payload of a host call");
    life.payBytes(length >>> 0);
    try {
      const capabilityId = name(bindingAt, bindingLength, "the binding of a host call");
      const providerType = name(namespaceAt, namespaceLength, "the namespace of a host call");
      const operation = name(operationAt, operationLength, "the operation of a host call");
      if (length >>> 0 > guestTalkLimits.messageBytesMax) throw payloadTooLarge(length >>> 0);
      const payload = memory.read(payloadAt, length, "the payload of a host call");
      return host.callCapability(capabilityId, providerType, operation, payload).then(succeeded, failed);
    } catch (thrown) {
      return failed(thrown);
    }
  };
}

function payloadTooLarge(bytes: number): Failure {
  return new Failure(
    "PAYLOAD_TOO_LARGE",
    `the payload of a host call has ${bytes} bytes; ${guestTalkLimits.messageBytesMax} are allowed`,
    { fix: "Send it in pieces." },
  );
}
