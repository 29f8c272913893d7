import { InvalidArgumentError } from "commander";
import { isId } from "../../src/protocol/ids.ts";

const byteUnits: Record<string, number> = {
  "": 1,
  B: 1,
  K: 1024,
  KiB: 1024,
  M: 1024 ** 2,
  MiB: 1024 ** 2,
  G: 1024 ** 3,
  GiB: 1024 ** 3,
};
const timeUnits: Record<string, number> = { "": 1, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `64MiB` as bytes. */
export function bytesOf(text: string): number {
  return quantity(text, byteUnits, "a size such as 64MiB");
}

/** `5s` as milliseconds. */
export function msOf(text: string): number {
  return quantity(text, timeUnits, "a duration such as 500ms or 5s");
}

/** A whole number of at least 0. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("it must be a whole number");
  return Number(text);
}

/** Collects the words of a flag that may be repeated. */
export function words(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** Ids with commas between them. */
export function ids(text: string): string[] {
  const all = text.split(",");
  if (!all.every(isId)) throw new InvalidArgumentError("it must be ids such as n1,n2");
  return all;
}

/** Collects `KEY=value` of a flag that may be repeated. */
export function keyValue(text: string, before: Record<string, string> = {}): Record<string, string> {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError("it must be KEY=value");
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

function quantity(text: string, units: Record<string, number>, form: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text) ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (digits === undefined || factor === undefined) throw new InvalidArgumentError(`it must be ${form}`);
  return Math.round(Number(digits) * factor);
}
