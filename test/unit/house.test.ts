import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

/**
 * Which way imports run: a file below the key may import files below these, and its own folder. A longer key is
 * looked at first. This table is the documentation of the floors.
 */
const arrows: Record<string, readonly string[]> = {
  "src/limits.ts": [],
  "src/clock.ts": [],
  "src/chance.ts": [],
  "src/log.ts": [],
  "src/byte-source.ts": [],
  "src/counted-reports.ts": ["src/clock.ts"],
  "src/protocol": ["src/limits.ts"],
  "src/bus": [
    "src/byte-source.ts",
    "src/counted-reports.ts",
    "src/protocol",
    "src/limits.ts",
    "src/clock.ts",
    "src/chance.ts",
  ],
  "src/lattice": ["src/protocol", "src/limits.ts", "src/clock.ts"],
  "src/capabilities": ["src/byte-source.ts", "src/protocol", "src/limits.ts", "src/clock.ts"],
  "src/capabilities/messaging": [
    "src/capabilities/capability.ts",
    "src/bus",
    "src/byte-source.ts",
    "src/protocol",
    "src/limits.ts",
    "src/clock.ts",
  ],
  "src/capabilities/http-server": [
    "src/capabilities/capability.ts",
    "src/byte-source.ts",
    "src/bus",
    "src/protocol",
    "src/limits.ts",
    "src/clock.ts",
  ],
  "src/modules": ["src/protocol", "src/limits.ts", "src/clock.ts", "src/chance.ts"],
  "src/trust": ["src/protocol", "src/limits.ts", "src/clock.ts"],
  "src/directory": ["src/protocol", "src/limits.ts", "src/clock.ts", "src/log.ts"],
  "src/client": ["src/bus", "src/protocol", "src/limits.ts", "src/clock.ts", "src/chance.ts"],
  "src/wasm": [
    "src/byte-source.ts",
    "src/bus",
    "src/protocol",
    "src/limits.ts",
    "src/clock.ts",
    "src/chance.ts",
    "src/log.ts",
  ],
  "actors/restart-policy": ["src/protocol", "src/limits.ts", "src/chance.ts"],
  "actors/supervisor": ["actors/restart-policy", "src"],
  "actors/lattice-watch": ["src"],
  "actors/instance": ["actors/restart-policy", "src"],
  "actors/provider": ["actors/lattice-watch", "actors/supervisor", "actors/restart-policy", "src"],
  "actors/node-agent": [
    "actors/instance",
    "actors/provider",
    "actors/supervisor",
    "actors/restart-policy",
    "actors/lattice-watch",
    "src",
  ],
  "actors/control-plane": ["actors/lattice-watch", "src"],
  cli: ["actors", "src"],
};

const files = globSync("{src,actors,cli}/**/*.ts");
const isBelow = (file: string, place: string) => file === place || file.startsWith(`${place}/`);
const places = Object.keys(arrows).toSorted((one, other) => other.length - one.length);

function importsOf(file: string): string[] {
  return [...readFileSync(file, "utf8").matchAll(/from "([^"]+)"/g)].map(([, target]) => target ?? "");
}

describe("the house", () => {
  test("every file stands on a floor, and every import runs downwards", () => {
    const wrong: string[] = [];
    for (const file of files) {
      const place = places.find((one) => isBelow(file, one));
      if (place === undefined) {
        wrong.push(`${file} stands nowhere`);
        continue;
      }
      for (const target of importsOf(file).filter((one) => one.startsWith("."))) {
        const imported = normalize(join(dirname(file), target));
        const allowed = [place, ...(arrows[place] ?? [])].some((one) => isBelow(imported, one));
        if (!allowed) wrong.push(`${file} → ${imported}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("no machine stands in src/, no device in actors/", () => {
    const wrong = files.filter((file) => {
      const text = readFileSync(file, "utf8");
      return file.startsWith("src/")
        ? /from "xstate"/.test(text)
        : file.startsWith("actors/") &&
            /from "(nats|node:worker_threads|node:child_process)"|WebAssembly\./.test(text);
    });
    expect(wrong).toEqual([]);
  });

  test("subjects stand in the subject table alone", () => {
    const wrong = files.filter(
      (file) =>
        file !== join("src", "protocol", "subjects.ts") &&
        /["'`]wasmatrix\.(ctl|node|nodes|leave|lost|plane|fact|call|cap|stream|log)\./.test(
          readFileSync(file, "utf8"),
        ),
    );
    expect(wrong).toEqual([]);
  });

  test("no file has become a god file", () => {
    // The tables of numbers and of subjects are as long as the system has numbers and subjects.
    const tables = [join("src", "limits.ts"), join("src", "protocol", "subjects.ts")];
    const code = files.filter((file) => !tables.includes(file));
    const long = code.filter((file) => readFileSync(file, "utf8").split("\n").length > 400);
    expect(long).toEqual([]);
  });
});
