import { bytes, text } from "./text";
import {
  __host_call,
  __host_error,
  __host_error_len,
  __host_response,
  __host_response_len,
} from "./wapc";

let refusal: string = "";

/**
 * One call to the provider behind the assignment `capabilityId`. The answer, or null when the call was refused:
 * `hostError()` then says why, and the guest goes on.
 */
export function hostCall(
  capabilityId: string,
  providerType: string,
  operation: string,
  payload: Uint8Array,
): Uint8Array | null {
  const binding = String.UTF8.encode(capabilityId);
  const namespace = String.UTF8.encode(providerType);
  const name = String.UTF8.encode(operation);
  const answered = __host_call(
    changetype<usize>(binding),
    binding.byteLength,
    changetype<usize>(namespace),
    namespace.byteLength,
    changetype<usize>(name),
    name.byteLength,
    payload.dataStart,
    payload.byteLength,
  );
  if (!answered) {
    const reason = new Uint8Array(<i32>__host_error_len());
    __host_error(reason.dataStart);
    refusal = text(reason);
    return null;
  }
  const answer = new Uint8Array(<i32>__host_response_len());
  __host_response(answer.dataStart);
  return answer;
}

/** Why the last `hostCall` gave null. */
export function hostError(): string {
  return refusal;
}

/** What the start command set for `key` (`--config KEY=value`), or null. Needs no grant: it is the guest's own. */
export function config(key: string): string | null {
  const value = hostCall("config", "config", "get", bytes(key));
  return value === null ? null : text(value);
}
