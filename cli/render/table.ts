import Table from "cli-table3";
import type { Paint } from "./paint.ts";

const none = "";
const noBorders = {
  top: none,
  "top-mid": none,
  "top-left": none,
  "top-right": none,
  bottom: none,
  "bottom-mid": none,
  "bottom-left": none,
  "bottom-right": none,
  left: none,
  "left-mid": none,
  mid: none,
  "mid-mid": none,
  right: none,
  "right-mid": none,
  middle: "  ",
};

/** Columns under their titles, without lines; cells may be coloured. */
export function table(paint: Paint, titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const made = new Table({
    head: titles.map((title) => paint.dim(title.toUpperCase())),
    chars: noBorders,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
  });
  made.push(...rows.map((row) => [...row]));
  return made
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Names and values, one pair a line, values aligned. */
export function pairs(paint: Paint, entries: readonly (readonly [string, string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${paint.dim(name.padEnd(width))}  ${value}`).join("\n");
}
