import { copyOut } from "./copy-out.ts";
import { GuestFault } from "./guest-faults.ts";
import { letGo } from "./memory-debt.ts";

/** A pointer and length that do not lie in the guest's memory. */
export class OutsideMemory extends GuestFault {}

/**
 * The memory of one instance as its host sees it. Every pointer is checked against the memory's present size, and
 * what is read is a copy: no view leaves this file but within one synchronous import. All methods throw
 * {@link OutsideMemory}. Numbers arrive as signed i32 and mean unsigned ones.
 */
export class GuestMemory {
  #memory: WebAssembly.Memory | undefined;
  #bytes = new Uint8Array(0);
  #numbers = new DataView(this.#bytes.buffer);

  /** Gives it the instance's exported memory; before that every pointer lies outside. */
  attach(exported: WebAssembly.ExportValue | undefined): void {
    if (exported instanceof WebAssembly.Memory) this.#memory = exported;
  }

  /** After the last use of the guest: its memory is to be given back soon. */
  letGo(): void {
    letGo(this.#memory);
    this.#memory = undefined;
    this.#bytes = new Uint8Array(0);
  }

  /** Bytes that the guest has now. */
  get length(): number {
    return this.#present().length;
  }

  /**
   * The start of a range, once it is known to lie inside. To be called before a view is named: it renews them
   * when the memory has grown.
   */
  range(pointer: number, length: number, what: string): number {
    const start = pointer >>> 0;
    const size = length >>> 0;
    const present = this.#present().length;
    if (start + size > present) throw outside(what, start, size, present);
    return start;
  }

  /** A copy of `length` bytes. */
  read(pointer: number, length: number, what: string): Uint8Array {
    const start = this.range(pointer, length, what);
    return copyOut(this.#bytes, start, length >>> 0);
  }

  /** UTF-8 text of at most `bytesMax` bytes, the rest is cut; what is no UTF-8 becomes U+FFFD. */
  text(pointer: number, length: number, bytesMax: number, what: string): string {
    const start = this.range(pointer, length, what);
    const size = Math.min(length >>> 0, bytesMax);
    return Buffer.from(this.#bytes.buffer, start, size).toString("utf8");
  }

  /** Copies `bytes` into the guest. */
  write(pointer: number, bytes: Uint8Array, what: string): void {
    const start = this.range(pointer, bytes.length, what);
    this.#bytes.set(bytes, start);
  }

  /** Lets `fill` write into a range; `fill` must not keep it. */
  fill(pointer: number, length: number, what: string, fill: (range: Uint8Array) => void): void {
    const start = this.range(pointer, length, what);
    fill(this.#bytes.subarray(start, start + (length >>> 0)));
  }

  u8(pointer: number): number {
    const at = this.range(pointer, 1, "a number");
    return this.#numbers.getUint8(at);
  }

  u16(pointer: number): number {
    const at = this.range(pointer, 2, "a number");
    return this.#numbers.getUint16(at, true);
  }

  u32(pointer: number): number {
    const at = this.range(pointer, 4, "a number");
    return this.#numbers.getUint32(at, true);
  }

  u64(pointer: number): bigint {
    const at = this.range(pointer, 8, "a number");
    return this.#numbers.getBigUint64(at, true);
  }

  setU8(pointer: number, value: number): void {
    const at = this.range(pointer, 1, "a result");
    this.#numbers.setUint8(at, value);
  }

  setU16(pointer: number, value: number): void {
    const at = this.range(pointer, 2, "a result");
    this.#numbers.setUint16(at, value, true);
  }

  setU32(pointer: number, value: number): void {
    const at = this.range(pointer, 4, "a result");
    this.#numbers.setUint32(at, value, true);
  }

  setU64(pointer: number, value: bigint): void {
    const at = this.range(pointer, 8, "a result");
    this.#numbers.setBigUint64(at, value, true);
  }

  /**
   * Growth detaches the old buffer, which leaves its views with length 0. Asking the length costs a tenth of
   * asking `memory.buffer` (measured), and this runs at every import.
   */
  #present(): Uint8Array {
    if (this.#bytes.length === 0 && this.#memory !== undefined) {
      this.#bytes = new Uint8Array(this.#memory.buffer);
      this.#numbers = new DataView(this.#memory.buffer);
    }
    return this.#bytes;
  }
}

function outside(what: string, start: number, size: number, present: number): OutsideMemory {
  return new OutsideMemory(
    `${what} at ${start} with ${size} bytes lies outside the guest's memory of ${present} bytes`,
  );
}
