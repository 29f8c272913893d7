import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

// Loaded into the parts before their own program; the engine, which may read nothing of this, is to go without.
const directory = process.env["WASMATRIX_SOAK_DIRECTORY"] ?? "";
delete process.env["NODE_OPTIONS"];

const warnings: string[] = [];
process.on("warning", ({ name, message }) => void warnings.push(`${name}: ${message}`));

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Says on request what cannot be seen from outside. */
process.on("SIGUSR2", () => {
  collect();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const { heapUsed } = process.memoryUsage();
  writeFileSync(
    join(directory, `${process.pid}.probe`),
    JSON.stringify({ resources, heapBytes: heapUsed, warnings, at: Date.now() }),
  );
});
