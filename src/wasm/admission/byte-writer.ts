import { overLimit } from "./invalid-module.ts";

/** Writes a binary from front to back into memory that grows as needed, up to `bytesMax`. */
export class ByteWriter {
  /** Offset of the next byte. */
  length = 0;
  private bytes: Uint8Array<ArrayBuffer>;
  private readonly bytesMax: number;

  constructor(capacity: number, bytesMax: number) {
    this.bytes = new Uint8Array(Math.min(capacity, bytesMax));
    this.bytesMax = bytesMax;
  }

  /** One byte. */
  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** An unsigned LEB128 in as few bytes as it needs. */
  u32(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.byte((rest & 0x7f) | 0x80);
    this.byte(rest);
  }

  /** A copy of `source`, or of the stretch of it from `from` up to `to`. */
  copy(source: Uint8Array, from = 0, to: number = source.length): void {
    this.reserve(to - from);
    this.bytes.set(source.subarray(from, to), this.length);
    this.length += to - from;
  }

  /** What was written, without a copy: the writer is not to be used afterwards. */
  take(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }

  private reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    if (needed > this.bytesMax) throw overLimit("bytes after metering", needed, this.bytesMax, this.length);
    const grown = new Uint8Array(Math.min(Math.max(needed, this.bytes.length * 2), this.bytesMax));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/** `value` as an unsigned LEB128. */
export function lebOf(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

/** `value`, a 32-bit number that is not negative, as a signed LEB128. */
export function signedLebOf(value: number): number[] {
  const bytes = lebOf(value);
  const last = bytes.at(-1) as number;
  // Bit 6 of the last byte is the sign.
  return last < 0x40 ? bytes : [...bytes.slice(0, -1), last | 0x80, 0];
}
