import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../clock.ts";
import { engineLimits } from "../limits.ts";
import { Failure, failureOf } from "../protocol/errors.ts";
import type { InstanceLimits } from "../protocol/instance-spec.ts";
import type { AdmissionAnswer, AdmissionRequest } from "./admission-worker.ts";
import type { SharedModule } from "./cell-messages.ts";

/** A module on the shelf. */
export interface ShelvedModule {
  readonly shared: SharedModule;
  readonly sizeBytes: number;
}

/** The compiled modules of an engine, each compiled once for each memory limit. */
export interface ModuleShelf {
  get(digest: string, moduleFile: string, limits: InstanceLimits): Promise<ShelvedModule>;
  /** One more instance runs it. */
  hold(key: string): void;
  /** One instance less; a module that nobody runs stays for a while, and goes when there are too many. */
  release(key: string): void;
}

/** An empty shelf; `onDrop` tells that a module is no longer kept. */
export function createModuleShelf(clock: Clock, onDrop: (key: string) => void): ModuleShelf {
  const modules = new Map<string, Promise<ShelvedModule>>();
  const holders = new Map<string, number>();
  const admit = createAdmission(clock);

  /** The idle ones that were used longest ago go first: a Map keeps the order in which they were last fetched. */
  const dropIdle = () => {
    const idle = [...modules.keys()].filter((key) => !holders.has(key));
    for (const key of idle.slice(0, Math.max(0, idle.length - engineLimits.idleModulesMax))) {
      modules.delete(key);
      onDrop(key);
    }
  };

  return {
    get(digest, moduleFile, { memoryBytes }) {
      const key = `${digest} ${memoryBytes}`;
      const shelved = modules.get(key) ?? admit(key, moduleFile, memoryBytes);
      modules.delete(key);
      modules.set(key, shelved);
      shelved.then(dropIdle, () => {
        if (modules.get(key) === shelved) modules.delete(key);
      });
      return shelved;
    },
    hold(key) {
      holders.set(key, (holders.get(key) ?? 0) + 1);
    },
    release(key) {
      const left = (holders.get(key) ?? 0) - 1;
      if (left > 0) holders.set(key, left);
      else holders.delete(key);
      dropIdle();
    },
  };
}

/** A module that waits for its turn, or for its answer. */
interface Admission {
  readonly request: AdmissionRequest;
  readonly resolve: (module: ShelvedModule) => void;
  readonly reject: (error: Failure) => void;
}

/** One thread that admits one module at a time; it is replaced when it does not come to an end. */
function createAdmission(clock: Clock) {
  const queue: Admission[] = [];
  let current: Admission | undefined;
  let worker: Worker | undefined;
  let timer: Timer;
  let lastId = 0;

  const next = () => {
    if (current !== undefined) return;
    current = queue.shift();
    if (current === undefined) return;
    worker ??= started();
    worker.postMessage(current.request);
    // From its turn on: those behind a large one are not late.
    timer = clock.setTimeout(() => {
      void worker?.terminate();
      lost(`reading the module took longer than ${engineLimits.admissionMs} ms`);
    }, engineLimits.admissionMs);
  };

  const settled = (): Admission | undefined => {
    const done = current;
    current = undefined;
    if (timer !== undefined) clock.clearTimeout(timer);
    queueMicrotask(next);
    return done;
  };

  /** The thread is gone, and with it the module that it was at; the others go on in another one. */
  const lost = (message: string) => {
    worker = undefined;
    const fix = "Split the module, or build it with less optimisation.";
    settled()?.reject(new Failure("INVALID_MODULE", message, { fix }));
  };

  const started = () => {
    const fresh = new Worker(new URL("./admission-worker.ts", import.meta.url));
    fresh.on("message", (answer: AdmissionAnswer) => {
      if (answer.id !== current?.request.id) return;
      const done = settled();
      if ("error" in answer) done?.reject(failureOf(answer.error));
      else done?.resolve({ shared: answer.shared, sizeBytes: answer.sizeBytes });
    });
    fresh.on("error", (error: Error) => {
      if (worker === fresh) lost(`reading the module ended its thread: ${error.message}`);
    });
    return fresh;
  };

  // Beside the cells, not after them: an engine that comes back has its modules to compile again at once.
  worker = started();

  return (key: string, moduleFile: string, memoryBytesMax: number): Promise<ShelvedModule> => {
    const { promise, resolve, reject } = Promise.withResolvers<ShelvedModule>();
    lastId += 1;
    queue.push({ request: { id: lastId, key, moduleFile, memoryBytesMax }, resolve, reject });
    next();
    return promise;
  };
}
