/** Writes MessagePack (msgpack.org, specification of 2013): each value in the shortest form that holds it. */
export class MessagePackWriter {
  private buffer: Uint8Array = new Uint8Array(64);
  private length: i32 = 0;

  /** What was written so far. */
  finish(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }

  /** Begins a map; `entries` times a key and a value follow. */
  map(entries: i32): MessagePackWriter {
    return this.head(entries, 0x80, 15, 0, 0xde);
  }

  /** Begins an array; `elements` values follow. */
  array(elements: i32): MessagePackWriter {
    return this.head(elements, 0x90, 15, 0, 0xdc);
  }

  str(value: string): MessagePackWriter {
    const utf8 = String.UTF8.encode(value);
    this.head(utf8.byteLength, 0xa0, 31, 0xd9, 0xda);
    return this.raw(changetype<usize>(utf8), utf8.byteLength);
  }

  bin(value: Uint8Array): MessagePackWriter {
    this.head(value.byteLength, 0, -1, 0xc4, 0xc5);
    return this.raw(value.dataStart, value.byteLength);
  }

  nil(): MessagePackWriter {
    return this.byte(0xc0);
  }

  bool(value: bool): MessagePackWriter {
    return this.byte(value ? 0xc3 : 0xc2);
  }

  int(value: i64): MessagePackWriter {
    if (value >= -32 && value <= 127) return this.byte(<u8>value);
    if (value >= i8.MIN_VALUE && value <= i8.MAX_VALUE) return this.tagged(0xd0, value, 1);
    if (value >= i16.MIN_VALUE && value <= i16.MAX_VALUE) return this.tagged(0xd1, value, 2);
    if (value >= i32.MIN_VALUE && value <= i32.MAX_VALUE) return this.tagged(0xd2, value, 4);
    return this.tagged(0xd3, value, 8);
  }

  /** A length in its shortest form; the 32-bit tag always follows the 16-bit one. */
  private head(length: i32, fix: u8, fixMax: i32, tag8: u8, tag16: u8): MessagePackWriter {
    if (length <= fixMax) return this.byte(fix | <u8>length);
    if (tag8 !== 0 && length <= 0xff) return this.tagged(tag8, length, 1);
    if (length <= 0xffff) return this.tagged(tag16, length, 2);
    return this.tagged(tag16 + 1, length, 4);
  }

  private tagged(tag: u8, value: i64, size: i32): MessagePackWriter {
    this.byte(tag);
    for (let shift = (size - 1) * 8; shift >= 0; shift -= 8) this.byte(<u8>(value >> shift));
    return this;
  }

  private byte(value: u8): MessagePackWriter {
    this.reserve(1);
    this.buffer[this.length++] = value;
    return this;
  }

  private raw(address: usize, length: i32): MessagePackWriter {
    this.reserve(length);
    memory.copy(this.buffer.dataStart + this.length, address, length);
    this.length += length;
    return this;
  }

  private reserve(more: i32): void {
    const needed = this.length + more;
    if (needed <= this.buffer.byteLength) return;
    const larger = new Uint8Array(max(needed, this.buffer.byteLength * 2));
    memory.copy(larger.dataStart, this.buffer.dataStart, this.length);
    this.buffer = larger;
  }
}
