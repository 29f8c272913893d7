import { randomInt } from "node:crypto";
import { readCommandLine } from "../../command-line.ts";
import { sharesOf, targets } from "./all-targets.ts";
import { doJobs } from "./crew.ts";
import { fuzzLimits } from "./limits.ts";
import { reportOf, type TargetFigures, totalsOf } from "./report.ts";
import type { Job } from "./run-job.ts";

const usage =
  "usage: scripts/fuzz [--cases <n>] [--only <target>] [--seed <n>] [--path <p>] [--workers <n>] [--json]\n" +
  `targets: ${targets.map(({ name }) => name).join(", ")}`;
const {
  given: { values },
  whole,
  refuse,
} = readCommandLine(usage, {
  options: {
    cases: { type: "string", default: "1000000" },
    only: { type: "string", multiple: true },
    seed: { type: "string" },
    path: { type: "string" },
    workers: { type: "string", default: "2" },
    json: { type: "boolean", default: false },
  },
});
const cases = whole(values.cases, 1, 1_000_000_000);
const workers = whole(values.workers, 1, 64);
const seed = values.seed === undefined ? randomInt(1_000_000_000) : whole(values.seed, 0, 2 ** 31 - 1);
const { only, path } = values;
const chosen = targets.filter(({ name }) => only === undefined || only.includes(name));
if (chosen.length === 0) refuse("there is no such target");
if (path !== undefined && chosen.length !== 1) refuse("a path is of one target, named with --only");

const say = (text: string) => void process.stderr.write(`${text}\n`);
const all = new Map<string, TargetFigures>();
const beganAt = performance.now();
await doJobs(
  path === undefined ? jobsOf() : [{ target: chosen[0]?.name ?? "", seed, cases: 1, path }],
  workers,
  (figures) => {
    const { target, failure } = figures;
    all.set(target, totalsOf(all.get(target), figures));
    say(
      `${target}: ${all.get(target)?.cases} cases, ${failure === undefined ? "fine" : `FAILED: ${failure.replay}`}`,
    );
  },
);
const ms = performance.now() - beganAt;
const figures = [...all.values()];
if (values.json) console.log(JSON.stringify({ seed, ms, targets: figures }));
else console.log(reportOf(figures, { seed, ms }));
if (figures.some(({ failures }) => failures.length > 0)) process.exitCode = 1;

/** Each target's share in jobs of a size, so that both workers get some; the seeds of no two jobs meet. */
function jobsOf(): Job[] {
  const shares = sharesOf(cases, chosen);
  const jobs: Job[] = [];
  for (const { name } of chosen) {
    const share = shares.get(name) ?? 1;
    const parts = Math.max(1, Math.ceil(share / fuzzLimits.jobCasesMax));
    for (let part = 0; part < parts; part += 1) {
      const from = Math.floor((share * part) / parts);
      const until = Math.floor((share * (part + 1)) / parts);
      jobs.push({ target: name, seed: (seed + from) % 2 ** 31, cases: until - from });
    }
  }
  return jobs;
}
