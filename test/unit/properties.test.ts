import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const folder = new URL("../", import.meta.url);
const rows = readFileSync(new URL("../docs/properties.md", folder), "utf8")
  .split("\n")
  .flatMap((line) => {
    const [, number, , shownBy = ""] = line.split("|").map((cell) => cell.trim());
    return number !== undefined && /^\d+$/.test(number) ? [{ property: `P${number}`, shownBy }] : [];
  });

function sourceOf(name: string): string {
  const file = new URL(`${name}.test.ts`, folder);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

describe("docs/properties.md", () => {
  test("has a row for each property", () => {
    expect(rows.map(({ property }) => property)).toEqual(Array.from({ length: 21 }, (_, at) => `P${at + 1}`));
  });

  test.each(rows)("names a test of $property that says so itself", ({ property, shownBy }) => {
    const first = shownBy.split(";")[0] ?? "";
    const names = [...first.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
    const files = first.startsWith("sim") ? [...names, "simulation/simulation"] : names;
    expect(files.length).toBeGreaterThan(0);
    for (const file of files)
      expect(new RegExp(String.raw`\b${property}\b`).test(sourceOf(file)), `${file} names ${property}`).toBe(
        true,
      );
  });
});
