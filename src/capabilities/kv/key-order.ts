import type { KeyPage } from "./contract.ts";

/** Orders keys by their UTF-8 bytes, as stores and guests in other languages do; JavaScript's own order differs. */
export function compareKeys(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index += 1) {
    const unitA = a.charCodeAt(index);
    const unitB = b.charCodeAt(index);
    if (unitA !== unitB) return rank(unitA) - rank(unitB);
  }
  return a.length - b.length;
}

/** The index of the first of the ordered `keys` that is not before `key`. */
export function positionOf(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The page that begins with these ordered keys, of which there is one more than `limit` where there are more. Ends
 * before its keys exceed `bytesMax`, but has one of them at least.
 */
export function pageOf(ordered: readonly string[], limit: number, bytesMax: number): KeyPage {
  const keys: string[] = [];
  let bytes = 0;
  for (const key of ordered) {
    bytes += Buffer.byteLength(key);
    const last = keys.at(-1);
    if (last !== undefined && (keys.length === limit || bytes > bytesMax)) return { keys, next: last };
    keys.push(key);
  }
  return { keys };
}

/** Surrogates stand for the code points above U+FFFF, and so come after all other units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
