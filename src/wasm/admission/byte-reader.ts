import { moduleLimits } from "../../limits.ts";
import { invalidModule, overLimit } from "./invalid-module.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a stretch of a binary from front to back and never past its end; every read that cannot be done is an
 * INVALID_MODULE failure that names the part and the offset from the beginning of the module.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  /** Offset of the next byte. */
  at: number;
  /** Offset behind the last byte. */
  readonly end: number;
  /** What is being read, for messages. */
  readonly part: string;

  constructor(bytes: Uint8Array, at: number, end: number, part: string) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.part = part;
  }

  /** One byte. */
  byte(): number {
    if (this.at >= this.end) throw this.truncated();
    return this.bytes[this.at++] as number;
  }

  /** An unsigned 32-bit LEB128 of at most five bytes. */
  u32(): number {
    const start = this.at;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      if (shift === 28 && byte > 0x0f) break;
      // Multiplied rather than shifted: the fifth byte reaches the sign bit.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw this.malformed("a number does not fit 32 bits", start);
  }

  /** A u32 that counts what follows, of which each takes at least one byte. */
  count(what: string, limit: number): number {
    const start = this.at;
    const count = this.u32();
    if (count > limit) throw overLimit(what, count, limit, start);
    if (count > this.end - this.at) throw this.truncated();
    return count;
  }

  /**
   * Steps over one LEB128 of any length. Too long ones are left to the engine's own validation, which sees the
   * same bytes: no reading of them can differ from this one without being refused there.
   */
  skipLeb(): void {
    while (this.byte() >= 0x80);
  }

  /** Steps over `length` bytes. */
  skip(length: number): void {
    if (length > this.end - this.at) throw this.truncated();
    this.at += length;
  }

  /** A UTF-8 name of at most `moduleLimits.nameBytesMax` bytes. */
  name(what: string): string {
    const start = this.at;
    const length = this.u32();
    if (length > moduleLimits.nameBytesMax) {
      throw overLimit(`bytes of ${what}`, length, moduleLimits.nameBytesMax, start);
    }
    this.skip(length);
    try {
      return utf8.decode(this.bytes.subarray(this.at - length, this.at));
    } catch (cause) {
      throw this.malformed(`${what} is not UTF-8`, start, cause);
    }
  }

  /** A reader of the next `length` bytes, over which this one steps. */
  within(length: number, part: string): ByteReader {
    const start = this.at;
    this.skip(length);
    return new ByteReader(this.bytes, start, this.at, part);
  }

  /** Refuses bytes that are left over. */
  finish(): void {
    if (this.at !== this.end) {
      throw this.malformed(`${this.end - this.at} bytes more than its contents account for`, this.at);
    }
  }

  /** The refusal of something that stands at `offset`. */
  malformed(what: string, offset: number, cause?: unknown) {
    return invalidModule(`${this.part}, byte ${offset}: ${what}`, {
      fix: "Build the module again; `wasm-validate` or `wasm-tools validate` shows more.",
      part: this.part,
      offset,
      cause,
    });
  }

  private truncated() {
    return invalidModule(`${this.part}: truncated, it ends at byte ${this.end} before its contents do`, {
      fix: "Build or transfer the module again; its end is missing or a length in it is wrong.",
      part: this.part,
      offset: this.end,
    });
  }
}
