import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fuzzLimits } from "./limits.ts";
import { type Job, type JobFigures, replayLine } from "./run-job.ts";

type FromWorker =
  | { readonly type: "done"; readonly figures: JobFigures }
  | { readonly type: "rejection"; readonly what: string };

/** Does the jobs on so many processes; one that hangs or dies is replaced, and its job has failed. */
export async function doJobs(
  jobs: readonly Job[],
  workers: number,
  onDone: (figures: JobFigures) => void,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "wasmatrix-fuzz-crew-"));
  const waiting = [...jobs];
  const failed = new Set<string>();
  try {
    await Promise.all(
      Array.from({ length: workers }, async (_, index) => {
        const markFile = join(directory, `worker-${index}`);
        let worker: ChildProcess | undefined;
        for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
          // One failure of a target is enough to look at; its other jobs would tell the same.
          if (failed.has(job.target)) continue;
          writeFileSync(markFile, Buffer.alloc(16));
          worker ??= fork(join(import.meta.dirname, "worker.ts"), [markFile], {
            execArgv: ["--expose-gc", "--disable-warning=ExperimentalWarning"],
          });
          const figures = await doJob(worker, job, markFile);
          if (figures.failure !== undefined) failed.add(job.target);
          if (worker.exitCode !== null || worker.signalCode !== null) worker = undefined;
          onDone(figures);
        }
        worker?.send("end");
      }),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One job on one worker, watched: where the same case is under way for too long, the worker is ended. */
function doJob(worker: ChildProcess, job: Job, markFile: string): Promise<JobFigures> {
  const { silentMsMax, loadMsMax } = fuzzLimits;
  const beganAt = performance.now();
  const markOf = () => readFileSync(markFile);
  let last = markOf();
  let lastAt = beganAt;
  let rejection: string | undefined;
  return new Promise((resolve) => {
    const broken = (what: string) => {
      const mark = markOf();
      const [seed, index] = [mark.readDoubleLE(0), mark.readDoubleLE(8)];
      const ms = performance.now() - beganAt;
      const replay = replayLine(job.target, seed, String(index));
      const none = { taken: 0, slowestMs: ms, heapGrowth: undefined, rssGrowth: undefined };
      end({ target: job.target, cases: index + 1, ms, ...none, failure: { what, replay } });
    };
    const look = setInterval(() => {
      const mark = markOf();
      if (Buffer.compare(mark, last) !== 0) {
        last = mark;
        lastAt = performance.now();
      } else if (performance.now() - lastAt > (mark.some(Boolean) ? silentMsMax : loadMsMax)) {
        worker.kill("SIGKILL");
      }
    }, 1_000);
    const onExit = (code: number | null, signal: string | null) =>
      broken(
        signal === "SIGKILL"
          ? `the case, or what follows it, did not end within ${silentMsMax} ms`
          : `the process ended with ${signal ?? code}`,
      );
    const onMessage = (message: FromWorker) => {
      if (message.type === "rejection") rejection ??= message.what;
      else if (rejection === undefined || message.figures.failure !== undefined) end(message.figures);
      else {
        const replay = `scripts/fuzz --only ${job.target} --seed ${job.seed} --cases ${job.cases}`;
        end({ ...message.figures, failure: { what: `nobody handled: ${rejection}`, replay } });
      }
    };
    const end = (figures: JobFigures) => {
      clearInterval(look);
      worker.off("exit", onExit);
      worker.off("message", onMessage);
      resolve(figures);
    };
    worker.on("exit", onExit);
    worker.on("message", onMessage);
    worker.send(job);
  });
}
