/** Asks a provider of one's own: the type `clock`, whose operation `now` needs the grant `watch=clock:now`. */
import { fail, register } from "../guest-sdk/assemblyscript/guest";
import { hostCall, hostError } from "../guest-sdk/assemblyscript/host";
import { bytes } from "../guest-sdk/assemblyscript/text";

export { __guest_call } from "../guest-sdk/assemblyscript/guest";

export function wapc_init(): void {
  register("now", now);
}

/** The answer is the provider's own: JSON, for the question is. */
function now(_payload: Uint8Array): Uint8Array {
  const answer = hostCall("watch", "clock", "now", bytes("{}"));
  return answer === null ? fail(`there is no time: ${hostError()}`) : answer;
}
