/**
 * The error numbers of WASI preview 1 that this host gives
 * (https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#errno).
 */
export const errno = {
  success: 0,
  /** The descriptor is not open, or not for this. */
  badf: 8,
  /** A pointer lies outside the guest's memory. */
  fault: 21,
  /** The answer is larger than a message may be. */
  fbig: 22,
  inval: 28,
  nosys: 52,
  notdir: 54,
  notsock: 57,
  notsup: 58,
  /** The descriptor is a stream and has no position. */
  spipe: 70,
  /** There is nothing that would grant this. */
  notcapable: 76,
} as const;
