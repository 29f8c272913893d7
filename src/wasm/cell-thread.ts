import { Worker } from "node:worker_threads";
import type { Assignment } from "../protocol/instance-spec.ts";
import type { CellSettings, FromCell, SharedModule, ToCell } from "./cell-messages.ts";
import type { EngineEvent, GuestSpec } from "./engine.ts";
import { createMarksBuffer } from "./marks.ts";
import { createPendingAnswers } from "./pending-answers.ts";

/** A cell as the engine's main thread holds it. */
export interface CellThread {
  readonly marks: SharedArrayBuffer;
  /** Resolves when it is connected and takes instances; rejects when it ends before. */
  readonly ready: Promise<void>;
  start(slot: number, spec: GuestSpec, shared: SharedModule): Promise<void>;
  stop(instanceId: string): Promise<void>;
  grant(instanceId: string, capabilities: readonly Assignment[]): Promise<void>;
  /** Those of the tokens whose calls are in progress here or wait for their turn. */
  held(tokens: readonly string[]): Promise<string[]>;
  dropModule(key: string): void;
  close(): Promise<void>;
  /** Ends the thread now, whatever it does; `onEnd` is called with the reason. */
  kill(reason: string): void;
}

/** Starts a cell. `onEnd` is called once, after everything pending on it was rejected. */
export function startCell(
  settings: Omit<CellSettings, "marks">,
  onEvent: (event: EngineEvent) => void,
  onEnd: (reason: string) => void,
): CellThread {
  const marks = createMarksBuffer();
  const workerData: CellSettings = { ...settings, marks };
  const worker = new Worker(new URL("./cell.ts", import.meta.url), { workerData });
  const answers = createPendingAnswers("the cell");
  const sent = new Set<string>();
  const readiness = Promise.withResolvers<void>();
  readiness.promise.catch(() => undefined);
  let reason: string | undefined;

  const send = (message: ToCell) => worker.postMessage(message);
  worker.on("message", (message: FromCell) => {
    if (message.type === "ready") readiness.resolve();
    else if (message.type === "done") answers.done(message.id, message.value);
    else if (message.type === "refused") answers.refused(message.id, message.error);
    else onEvent(message.event);
  });
  worker.on("error", (error: Error) => {
    reason ??= error.message;
  });
  worker.on("exit", (code) => {
    reason ??= `exit code ${code}`;
    answers.end(reason);
    readiness.reject(new Error(reason));
    onEnd(reason);
  });

  return {
    marks,
    ready: readiness.promise,
    start(slot, spec, shared) {
      if (!sent.has(shared.key)) send({ type: "module", shared });
      sent.add(shared.key);
      return answers.ask((id) => send({ type: "start", id, slot, moduleKey: shared.key, spec }));
    },
    stop: (instanceId) => answers.ask((id) => send({ type: "stop", id, instanceId })),
    grant: (instanceId, capabilities) =>
      answers.ask((id) => send({ type: "grant", id, instanceId, capabilities })),
    held: (tokens) => answers.ask((id) => send({ type: "held", id, tokens })),
    dropModule(key) {
      if (sent.delete(key)) send({ type: "drop-module", key });
    },
    async close() {
      reason ??= "closed";
      await answers.ask((id) => send({ type: "close", id }));
      await worker.terminate();
    },
    kill(why) {
      reason ??= why;
      void worker.terminate();
    },
  };
}
