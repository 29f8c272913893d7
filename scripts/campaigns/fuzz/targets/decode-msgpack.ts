import fc from "fast-check";
import { encode } from "../../../../src/protocol/codec.ts";
import { isForbiddenKey } from "../../../../src/protocol/codec-rules.ts";
import { edit, edited } from "../bytes.ts";
import { fuzzTarget } from "../target.ts";
import { sentAgain } from "./decode-json.ts";

const token = fc.oneof(
  fc.constantFrom(0x80, 0x81, 0x90, 0x91, 0xa1, 0xc0, 0xc1, 0xc4, 0xc6, 0xc9, 0xca, 0xcb, 0xcf, 0xd3, 0xd4),
  fc.constantFrom(0xd6, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf),
  fc.integer({ min: 0, max: 255 }),
);
const made = fc
  .tuple(fc.constantFrom(0x81, 0x8f, 0x91, 0x9f, 0xdc, 0xdd, 0xde, 0xdf), fc.array(token, { maxLength: 60 }))
  .map(([first, rest]) => Uint8Array.of(first, ...rest));
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 5 }),
  fc.uint8Array({ maxLength: 80 }),
  fc.string({ unit: "binary", minLength: 30, maxLength: 80 }).filter((text) => text.isWellFormed()),
);
const key = fc.string({ maxLength: 12 }).filter((text) => !isForbiddenKey(text));
const whole = fc.dictionary(key, value, { maxKeys: 8, noNullPrototype: true }).map(encoded);
const damaged = fc
  .tuple(whole, whole, fc.array(edit, { minLength: 1, maxLength: 6 }))
  .map(([bytes, other, edits]) => edited(bytes, edits, other));

/** MessagePack from anywhere. */
export const target = fuzzTarget<Uint8Array>({
  name: "decode-msgpack",
  weight: 1,
  arbitrary: fc.oneof(made, whole, { weight: 4, arbitrary: damaged }),
  check: (bytes) => sentAgain(bytes),
});

/** Nothing where the drawn value cannot travel: its refusal is the other target's. */
function encoded(map: Record<string, unknown>): Uint8Array {
  try {
    return encode(map, "msgpack");
  } catch {
    return Uint8Array.of(0x80);
  }
}
