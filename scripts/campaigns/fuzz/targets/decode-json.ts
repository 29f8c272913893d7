import fc from "fast-check";
import { decode, encode } from "../../../../src/protocol/codec.ts";
import { edit, edited } from "../bytes.ts";
import { holds, takenOrRefused } from "../expect.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

const pieces = fc.constantFrom(
  ...'{}[],:"\\0123-eE. \n'.split(""),
  '"a":',
  '"__proto__":',
  '"\\u005f_proto__":',
  "\\u",
  "\\ud800",
  "null",
  "true",
  "1e999",
  "9007199254740993",
  "NaN",
  "é",
  "\u0000",
);
const made = fc.array(pieces, { maxLength: 80 }).map((parts) => Buffer.from(`{${parts.join("")}`));
const whole = fc
  .dictionary(anyText, fc.jsonValue({ maxDepth: 6 }), { maxKeys: 8 })
  .map((value) => Buffer.from(JSON.stringify(value)));
const nested = fc
  .tuple(fc.constantFrom("[", '{"a":', "[[", '[{"a":'), fc.nat({ max: 200 }))
  .map(([opening, depth]) => Buffer.from(opening.repeat(depth)));
const damaged = fc
  .tuple(whole, fc.array(edit, { minLength: 1, maxLength: 6 }))
  .map(([bytes, edits]) => edited(bytes, edits));

/** JSON from anywhere: what is taken can be sent again, and is the same then. */
export const target = fuzzTarget<Uint8Array>({
  name: "decode-json",
  weight: 1,
  arbitrary: fc.oneof(made, whole, nested, { weight: 3, arbitrary: damaged }),
  check: (bytes) => sentAgain(bytes),
});

/** Decodes, and whether it was taken; then it goes round once more. */
export function sentAgain(bytes: Uint8Array): boolean {
  const decoded = takenOrRefused(["INVALID_REQUEST"], () => decode(bytes));
  if (decoded === undefined) return false;
  const again = encode(decoded.value, decoded.form);
  const twice = encode(decode(again).value, decoded.form);
  holds(Buffer.compare(again, twice) === 0, "what was decoded is not what is encoded");
  return true;
}
