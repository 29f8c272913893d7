/** Counts in a key-value store, since an instance keeps nothing: it may be restarted or moved between two calls. */
import { fail, register } from "../guest-sdk/assemblyscript/guest";
import { config } from "../guest-sdk/assemblyscript/host";
import { Kv } from "../guest-sdk/assemblyscript/kv";
import { log } from "../guest-sdk/assemblyscript/log";
import { bytes, text } from "../guest-sdk/assemblyscript/text";

export { __guest_call } from "../guest-sdk/assemblyscript/guest";

const store = new Kv("store");
let keyInUse = "";

export function wapc_init(): void {
  register("increment", increment);
  register("get", get);
  register("reset", reset);
}

/** Payload: how much to add, in digits; none stands for 1. */
function increment(payload: Uint8Array): Uint8Array {
  const step = text(payload);
  const by = wholeNumber(step);
  if (by < 0) return fail(`"${step}" is not a whole number of at most 15 digits`);
  const value = store.increment(key(), step === "" ? 1 : by);
  return store.error === null ? bytes(value.toString()) : refused("kv:write");
}

function get(_payload: Uint8Array): Uint8Array {
  const value = store.get(key());
  if (store.error !== null) return refused("kv:read");
  return value === null ? bytes("0") : value;
}

function reset(_payload: Uint8Array): Uint8Array {
  store.set(key(), bytes("0"));
  if (store.error !== null) return refused("kv:write");
  log("reset");
  return bytes("0");
}

/** `--config KEY=visits` counts under another name. The start command sets it, so that asking once is enough. */
function key(): string {
  if (keyInUse === "") {
    const named = config("KEY");
    keyInUse = named === null ? "count" : named;
  }
  return keyInUse;
}

/** -1 for what is none. 15 digits are exact in every encoding that the number meets on its way. */
function wholeNumber(digits: string): i64 {
  if (digits.length > 15) return -1;
  let value: i64 = 0;
  for (let index = 0; index < digits.length; index++) {
    const digit = digits.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function refused(permission: string): Uint8Array {
  return fail(`the counter cannot use its store: ${store.error!} (it needs ${permission} on "store")`);
}
