import fc from "fast-check";

/** One thing that is done to bytes. */
export interface Edit {
  readonly kind: "set" | "flip" | "insert" | "remove" | "repeat" | "cut" | "splice" | "number";
  readonly at: number;
  readonly value: number;
}

const boundaries = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/** Any edit. */
export const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom<Edit["kind"]>(
    "set",
    "set",
    "flip",
    "flip",
    "insert",
    "remove",
    "repeat",
    "cut",
    "splice",
    "number",
  ),
  at: fc.nat(),
  value: fc.nat({ max: 255 }),
});

/** The bytes with the edits done to them, those before `from` spared; `other` is what pieces are taken from. */
export function edited(bytes: Uint8Array, edits: readonly Edit[], other = bytes, from = 0): Uint8Array {
  let result = bytes;
  for (const { kind, at, value } of edits) {
    const place = from + (at % Math.max(1, result.length - from));
    const head = result.subarray(0, place);
    const behind = (count: number) => result.subarray(Math.min(result.length, place + count));
    if (kind === "set") result = joined(head, Uint8Array.of(value), behind(1));
    else if (kind === "flip")
      result = joined(head, Uint8Array.of((result[place] ?? 0) ^ (1 << (value & 7))), behind(1));
    else if (kind === "insert") result = joined(head, Uint8Array.of(value), behind(0));
    else if (kind === "remove") result = joined(head, behind(1 + (value & 15)));
    else if (kind === "repeat") result = joined(head, behind(0).subarray(0, value), behind(0));
    else if (kind === "cut") result = joined(head);
    else if (kind === "splice") {
      const start = (at >>> 3) % Math.max(1, other.length);
      result = joined(head, other.subarray(start, start + value), behind(value & 31));
    } else result = joined(head, numberAt(value), behind(1 + (value & 3)));
  }
  return result;
}

/** A length as somebody writes it who lies: LEB128, or big-endian. */
function numberAt(value: number): Uint8Array {
  const number = boundaries[(value >> 1) % boundaries.length] ?? 0;
  if (value & 1) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(number);
    return bytes;
  }
  const bytes: number[] = [];
  let rest = number;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return Uint8Array.from([...bytes, rest]);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
