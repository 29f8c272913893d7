/**
 * Reads MessagePack, value by value. What is not there, or is of another type, reads as nothing (0, "", false, empty)
 * and clears `ok`: look at `ok` once, after the last value.
 */
export class MessagePackReader {
  /** Whether everything read so far was what was asked for. */
  ok: bool = true;
  private position: i32 = 0;

  constructor(private source: Uint8Array) {}

  /** Begins a map and gives its number of entries; a key and a value each follow. */
  map(): i32 {
    const tag = this.byte();
    if ((tag & 0xf0) === 0x80) return tag & 0x0f;
    if (tag === 0xde) return <i32>this.number(2);
    if (tag === 0xdf) return this.count(4);
    return this.wrong();
  }

  /** Begins an array and gives its number of elements. */
  array(): i32 {
    const tag = this.byte();
    if ((tag & 0xf0) === 0x90) return tag & 0x0f;
    if (tag === 0xdc) return <i32>this.number(2);
    if (tag === 0xdd) return this.count(4);
    return this.wrong();
  }

  str(): string {
    const tag = this.byte();
    const length = (tag & 0xe0) === 0xa0 ? tag & 0x1f : this.sized(tag, 0xd9);
    const start = this.skipBytes(length);
    return String.UTF8.decodeUnsafe(this.source.dataStart + start, this.position - start);
  }

  /** The bytes of a string are taken too: that is how a value arrives which somebody set through JSON. */
  bin(): Uint8Array {
    const tag = this.byte();
    const length =
      (tag & 0xe0) === 0xa0 ? tag & 0x1f : this.sized(tag, tag >= 0xd9 ? 0xd9 : 0xc4);
    const start = this.skipBytes(length);
    return this.source.slice(start, this.position);
  }

  bool(): bool {
    const tag = this.byte();
    if (tag !== 0xc2 && tag !== 0xc3) this.wrong();
    return tag === 0xc3;
  }

  /** Whether the next value is nil; if so it is passed, and if not it is still to be read. */
  nil(): bool {
    if (this.position >= this.source.byteLength || this.source[this.position] !== 0xc0) return false;
    this.position++;
    return true;
  }

  /** Floats are taken too: encoders in JavaScript write integers beyond 32 bits that way. */
  int(): i64 {
    const tag = this.byte();
    if (tag <= 0x7f || tag >= 0xe0) return <i64>(<i8>tag);
    if (tag >= 0xcc && tag <= 0xcf) return <i64>this.number(1 << (tag - 0xcc));
    if (tag >= 0xd0 && tag <= 0xd3) {
      const size = 1 << (tag - 0xd0);
      const unused = 64 - 8 * size;
      return (<i64>(this.number(size) << unused)) >> unused;
    }
    if (tag === 0xca) return <i64>reinterpret<f32>(<u32>this.number(4));
    if (tag === 0xcb) return <i64>reinterpret<f64>(this.number(8));
    return this.wrong();
  }

  /** Passes over one value of any type, with all that is in it. */
  skip(): void {
    let pending = 1;
    while (pending > 0 && this.ok) {
      pending += this.skipHead() - 1;
    }
  }

  /** Passes over one value and gives the number of values inside it that are still to be passed. */
  private skipHead(): i32 {
    if (this.position >= this.source.byteLength) return this.wrong();
    const tag = <i32>this.source[this.position];
    if ((tag & 0xf0) === 0x80 || tag === 0xde || tag === 0xdf) return this.map() * 2;
    if ((tag & 0xf0) === 0x90 || tag === 0xdc || tag === 0xdd) return this.array();
    this.position++;
    if (tag <= 0x7f || tag >= 0xe0 || tag === 0xc0 || tag === 0xc2 || tag === 0xc3) return 0;
    if ((tag & 0xe0) === 0xa0) this.skipBytes(tag & 0x1f);
    else if (tag >= 0xc4 && tag <= 0xc6) this.skipBytes(this.sized(tag, 0xc4));
    else if (tag >= 0xc7 && tag <= 0xc9) this.skipBytes(this.count(1 << (tag - 0xc7)) + 1);
    else if (tag === 0xca) this.skipBytes(4);
    else if (tag === 0xcb) this.skipBytes(8);
    else if (tag >= 0xcc && tag <= 0xcf) this.skipBytes(1 << (tag - 0xcc));
    else if (tag >= 0xd0 && tag <= 0xd3) this.skipBytes(1 << (tag - 0xd0));
    else if (tag >= 0xd4 && tag <= 0xd8) this.skipBytes((1 << (tag - 0xd4)) + 1);
    else if (tag >= 0xd9 && tag <= 0xdb) this.skipBytes(this.sized(tag, 0xd9));
    else this.wrong();
    return 0;
  }

  /** The length that follows one of three tags in a row, which stand for 1, 2 and 4 bytes of it. */
  private sized(tag: i32, first: i32): i32 {
    if (tag < first || tag > first + 2) return this.wrong();
    return this.count(1 << (tag - first));
  }

  /** A length; never more than there are bytes left, so that a forged one cannot make a guest loop or allocate. */
  private count(size: i32): i32 {
    const length = this.number(size);
    if (length > <u64>(this.source.byteLength - this.position)) return this.wrong();
    return <i32>length;
  }

  private number(size: i32): u64 {
    let value: u64 = 0;
    for (let index = 0; index < size; index++) value = (value << 8) | <u64>this.byte();
    return value;
  }

  private byte(): i32 {
    if (this.position >= this.source.byteLength) return this.wrong();
    return this.source[this.position++];
  }

  private skipBytes(length: i32): i32 {
    const start = this.position;
    if (length > this.source.byteLength - start) this.wrong();
    else this.position += length;
    return start;
  }

  /** Everything after the first surprise reads as nothing, or a wrong value could pass for a right one. */
  private wrong(): i32 {
    this.ok = false;
    this.position = this.source.byteLength;
    return 0;
  }
}
