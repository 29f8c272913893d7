import { openSync, writeSync } from "node:fs";
import { targets } from "./all-targets.ts";
import { type Job, runJob } from "./run-job.ts";

// Whoever started this reads there which case was the last one, should it never come back from it.
const mark = openSync(process.argv[2] ?? "/dev/null", "r+");
const record = Buffer.alloc(16);

let rejections = 0;
process.on("unhandledRejection", (error) => {
  rejections += 1;
  process.send?.({
    type: "rejection",
    what: error instanceof Error ? error.stack : String(error),
    rejections,
  });
});

process.on("message", (message: Job | "end") => {
  if (message === "end") process.disconnect?.();
  else void run(message);
});
// Also where whoever started this was killed: nobody waits for the rest.
process.on("disconnect", () => process.exit());

async function run(job: Job): Promise<void> {
  const target = targets.find(({ name }) => name === job.target);
  if (target === undefined) throw new Error(`there is no target ${job.target}`);
  const figures = await runJob(target, job, (seed, index) => {
    record.writeDoubleLE(seed, 0);
    record.writeDoubleLE(index, 8);
    writeSync(mark, record, 0, 16, 0);
  });
  await target.end?.();
  process.send?.({ type: "done", figures });
}
