import { echoCharactersMax } from "../limits.ts";
import { Failure } from "./errors.ts";

const legalId = /^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$/;

/**
 * Whether `value` may name a lattice, node, instance, provider or bucket: a NATS subject token of at most 64
 * letters, digits, `-` and `_`, with a letter or digit at both ends.
 */
export function isId(value: unknown): value is string {
  // The pattern cannot match `__proto__`; the comparison keeps that true when somebody widens the pattern.
  return typeof value === "string" && legalId.test(value) && value !== "__proto__";
}

/** Throws INVALID_REQUEST that names `field` unless `value` is a legal id. */
export function assertId(value: unknown, field: string): asserts value is string {
  if (isId(value)) return;
  throw new Failure("INVALID_REQUEST", `${field} is not a legal id: ${echo(value)}`, {
    fix: "Use 1 to 64 letters (a-z, A-Z), digits, '-' and '_', with a letter or digit at both ends.",
    details: { field },
  });
}

/**
 * A value from outside as an error may show it: a string in quotes, everything but printable ASCII escaped, and
 * no more than 64 characters of it; of anything else only its type.
 */
export function echo(value: unknown): string {
  if (typeof value !== "string") return typeName(value);
  let shown = "";
  for (const character of value) {
    const escaped = escape(character);
    if (shown.length + escaped.length > echoCharactersMax) return `"${shown}"… (${value.length} characters)`;
    shown += escaped;
  }
  return `"${shown}"`;
}

function escape(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === '"' || character === "\\") return `\\${character}`;
  return code >= 0x20 && code < 0x7f ? character : `\\u{${code.toString(16)}}`;
}

function typeName(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Uint8Array) return "bytes";
  return typeof value === "object" ? "a map" : `a ${typeof value}`;
}
