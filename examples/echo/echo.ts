/**
 * Answers its payload. Without the guest SDK, to show how little a waPC guest is: no allocation, no globals, nothing
 * to collect. The payload is written behind the static data and answered from there.
 */
import { __guest_error, __guest_request, __guest_response } from "../guest-sdk/assemblyscript/wapc";

const full = "the payload does not fit into the memory that this guest may have";

/** The operation's name is written first; which one it is does not matter. */
export function __guest_call(operationLength: usize, payloadLength: usize): i32 {
  const payload = __heap_base + operationLength;
  if (!reserve(payload + payloadLength)) return refuse();
  __guest_request(__heap_base, payload);
  __guest_response(payload, payloadLength);
  return 1;
}

/** Makes memory reach to `end`, in whole pages of 64 KiB. */
function reserve(end: usize): bool {
  const missing = <i32>((end + 0xffff) >> 16) - memory.size();
  return missing <= 0 || memory.grow(missing) >= 0;
}

function refuse(): i32 {
  // Strings are UTF-16 here; one byte of each unit is all that ASCII needs.
  for (let index = 0; index < full.length; index++) store<u8>(__heap_base + index, full.charCodeAt(index));
  __guest_error(__heap_base, full.length);
  return 0;
}
