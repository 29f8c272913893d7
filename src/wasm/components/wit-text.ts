import { componentAdmissionLimits } from "../../limits.ts";
import { camelCase } from "./wit-names.ts";
import type { WitFunction, WitType } from "./wit-type.ts";

/** `(name: string, times: u32) -> list<u8>`: what a caller has to know, cut where it is too long. */
export function signatureText({ parameters, result }: WitFunction): string {
  // Types share parts: without a limit on the way, a small component could write a huge text.
  const room: Room = { left: componentAdmissionLimits.shownSignatureCharactersMax };
  const list = listText(room, parameters, ({ name, type }) => `${word(room, name)}: ${typeText(room, type)}`);
  return `(${list})${result === undefined ? "" : ` -> ${typeText(room, result)}`}`;
}

/** How many characters may still be written. */
interface Room {
  left: number;
}

const bracketCharacters = 4;

/** A type written out, its records and variants with their parts. */
function typeText(room: Room, type: WitType): string {
  // Brackets and commas count, too, so that lists of lists come to an end.
  room.left -= bracketCharacters;
  if (room.left <= 0) return "…";
  const inner = (one: WitType) => typeText(room, one);
  switch (type.kind) {
    case "list":
    case "option":
      return `${word(room, type.kind)}<${inner(type.of)}>`;
    case "tuple":
      return `tuple<${listText(room, type.of, inner)}>`;
    case "record":
      return `{ ${listText(room, type.fields, (field) => `${word(room, camelCase(field.name))}: ${inner(field.type)}`)} }`;
    case "variant":
      return listText(
        room,
        type.cases,
        (one) => `${word(room, one.name)}${one.type === undefined ? "" : `(${inner(one.type)})`}`,
        " | ",
      );
    case "enum":
      return listText(room, type.names, (name) => word(room, name), " | ");
    case "flags":
      return `flags { ${listText(room, type.names, (name) => word(room, camelCase(name)))} }`;
    case "result":
      return `result<${[type.ok, type.err].map((one) => (one === undefined ? "_" : inner(one))).join(", ")}>`;
    case "bool":
    case "s8":
    case "u8":
    case "s16":
    case "u16":
    case "s32":
    case "u32":
    case "s64":
    case "u64":
    case "f32":
    case "f64":
    case "char":
    case "string":
    case "resource":
      return word(room, type.kind);
  }
}

function listText<Entry>(
  room: Room,
  entries: readonly Entry[],
  text: (entry: Entry) => string,
  between = ", ",
): string {
  const shown: string[] = [];
  for (const entry of entries) {
    if (room.left <= 0) {
      shown.push("…");
      break;
    }
    shown.push(text(entry));
  }
  return shown.join(between);
}

function word(room: Room, text: string): string {
  const shown = room.left <= 0 ? "…" : text.slice(0, room.left);
  room.left -= shown.length;
  return shown;
}
