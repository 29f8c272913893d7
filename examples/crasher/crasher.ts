/** Fails on purpose, in each way that a guest can: to see what the node makes of it. */
import { register } from "../guest-sdk/assemblyscript/guest";
import { bytes } from "../guest-sdk/assemblyscript/text";

export { __guest_call } from "../guest-sdk/assemblyscript/guest";

export function wapc_init(): void {
  register("ok", ok);
  register("trap", openTheVault);
  register("spin", spin);
  register("grow", grow);
  register("overflow", overflow);
}

function ok(_payload: Uint8Array): Uint8Array {
  return bytes("ok");
}

/** Named functions, so that the backtrace has something to tell. */
function openTheVault(payload: Uint8Array): Uint8Array {
  return bytes(turnTheKey(payload.length, 1).toString());
}

/** Calls itself, as does the next: the compiler merges a function with one caller into it, and the name is gone. */
function turnTheKey(force: i32, turns: i32): i32 {
  return turns > 0 ? turnTheKey(force, turns - 1) + 1 : breakTheKey(force, 1);
}

/** Ends in a division by zero. */
function breakTheKey(force: i32, pieces: i32): i32 {
  return pieces > 0 ? breakTheKey(force, pieces - 1) + 1 : force / pieces;
}

/** Never comes back by itself. */
function spin(payload: Uint8Array): Uint8Array {
  let turns: u32 = 0;
  while (true) turns++;
  return payload;
}

/** Takes memory until there is no more, and traps then. */
function grow(_payload: Uint8Array): Uint8Array {
  while (memory.grow(16) >= 0) continue;
  return unreachable();
}

function overflow(_payload: Uint8Array): Uint8Array {
  return bytes(descend(1).toString());
}

/** Not a tail call: each turn needs its frame until the one below it is back. */
function descend(depth: i32): i32 {
  return descend(depth + 1) ^ depth;
}
