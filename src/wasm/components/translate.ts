import { Worker } from "node:worker_threads";
import type { Clock } from "../../clock.ts";
import { componentAdmissionLimits, moduleLimits } from "../../limits.ts";
import { invalidModule, printable } from "../admission/invalid-module.ts";
import type { Translation, TranslationAnswer, TranslationRequest } from "./translate-worker.ts";

/**
 * Translates a component that `readComponent` accepted into JavaScript and core modules, in a thread of its own that
 * ends with it. Rejects with INVALID_MODULE when the generator refuses it, dies of it or takes longer than
 * `componentAdmissionLimits.translationMs`; the next component is not affected.
 */
export function translateComponent(request: TranslationRequest, clock: Clock): Promise<Translation> {
  const { translationMs, translationHeapMb } = componentAdmissionLimits;
  const { promise, resolve, reject } = Promise.withResolvers<Translation>();
  const worker = new Worker(new URL("./translate-worker.ts", import.meta.url), {
    workerData: request,
    resourceLimits: { maxOldGenerationSizeMb: translationHeapMb },
    // The generator's own library writes warnings that mean nothing to who sent the component.
    stdout: true,
    stderr: true,
  });
  const refuse = (reason: string) => {
    reject(
      invalidModule(
        `the component cannot be translated: ${printable(reason, moduleLimits.engineReasonCharactersMax)}`,
        {
          fix: "Build the component again; `wasm-tools validate` shows more.",
        },
      ),
    );
  };
  const timer = clock.setTimeout(() => refuse(`it took longer than ${translationMs} ms`), translationMs);
  worker.on("message", (answer: TranslationAnswer) => {
    if ("refused" in answer) refuse(answer.refused);
    else resolve(answer);
  });
  worker.on("error", (error: Error) => refuse(error.message));
  worker.on("exit", () => refuse("its thread ended"));
  return promise.finally(() => {
    clock.clearTimeout(timer);
    void worker.terminate();
  });
}
