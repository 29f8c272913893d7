import { randomInt } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCommandLine } from "../../command-line.ts";
import { startSoakCluster } from "./cluster.ts";
import { figuresOf, reportOf } from "./report.ts";
import { runSoak } from "./run-soak.ts";

const {
  given: { values },
  whole,
  refuse,
} = readCommandLine("usage: scripts/soak [--minutes <n>] [--seed <n>] [--json] [--logs <directory>]", {
  options: {
    minutes: { type: "string", default: "30" },
    seed: { type: "string" },
    json: { type: "boolean", default: false },
    logs: { type: "string" },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0 && minutes <= 100_000)) refuse(`${values.minutes} is no number of minutes`);
const seed = values.seed === undefined ? randomInt(1_000_000) : whole(values.seed, 0, 2 ** 32 - 1);

await using cluster = await startSoakCluster();
const result = await runSoak(cluster, { minutes, seed });
console.log(values.json ? JSON.stringify(figuresOf(result)) : reportOf(result));
if (values.logs !== undefined) {
  mkdirSync(values.logs, { recursive: true });
  for (const [id, text] of cluster.logs()) writeFileSync(join(values.logs, `${id}.log`), text);
  writeFileSync(join(values.logs, "memory.json"), JSON.stringify(Object.fromEntries(result.series)));
}
if (result.wrong.length > 0) process.exitCode = 1;
