import { randomBytes } from "node:crypto";

/** A source of numbers in [0, 1). */
export type Chance = () => number;

/** The same numbers for the same seed (mulberry32, public domain by T. Ettinger). */
export function seededChance(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Numbers that nobody can repeat. */
export const systemChance: Chance = () => randomBytes(4).readUInt32LE() / 2 ** 32;

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";

/** A random lower-case id of `length` letters and digits, about 5.2 bits each. */
export function randomId(length: number): string {
  let id = "";
  for (const byte of randomBytes(length)) id += alphabet[byte % alphabet.length];
  return id;
}
