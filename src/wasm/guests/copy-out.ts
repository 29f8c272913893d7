import { copyLimits } from "../../limits.ts";

let slab = new Uint8Array(0);
let used = 0;

/**
 * A copy of a part of `source`. Copies share slabs that are written once and never again, since an allocation outside the
 * heap for each costs more than the copying. A slab lives as long as one of its copies does.
 */
export function copyOut(source: Uint8Array, start: number, length: number): Uint8Array {
  const { ownBytesMin, sharedBytesMax, slabBytes } = copyLimits;
  if (length <= ownBytesMin || length > sharedBytesMax) return source.slice(start, start + length);
  if (used + length > slab.length) {
    // Not zeroed: every byte that is handed out is written first.
    slab = Buffer.allocUnsafeSlow(slabBytes);
    used = 0;
  }
  const copy = new Uint8Array(slab.buffer, used, length);
  copy.set(source.subarray(start, start + length));
  used += length;
  return copy;
}
