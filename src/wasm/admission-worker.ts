import { readFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { systemClock } from "../clock.ts";
import { type ErrorBody, errorBody, Failure } from "../protocol/errors.ts";
import { admit } from "./admission/admit.ts";
import { linkErrors } from "./guests/load-guest.ts";
import type { SharedModule } from "./cell-messages.ts";

// The entry point of the admission thread: what takes long, or never ends, takes it off the engine's main thread.

/** A module to be admitted under a memory limit. */
export interface AdmissionRequest {
  id: number;
  key: string;
  moduleFile: string;
  memoryBytesMax: number;
}

/** The compiled module, or why there is none. */
export type AdmissionAnswer =
  | { id: number; shared: SharedModule; sizeBytes: number }
  | { id: number; error: ErrorBody };

parentPort?.on("message", (request: AdmissionRequest) => {
  parentPort?.postMessage(answerTo(request));
});

function answerTo({ id, key, moduleFile, memoryBytesMax }: AdmissionRequest): AdmissionAnswer {
  try {
    const bytes = readFileSync(moduleFile);
    const admitted = admit(bytes, { memoryBytesMax });
    const module = new WebAssembly.Module(admitted.bytes);
    const problems = linkErrors(module, admitted.kind);
    if (problems.length > 0) {
      throw new Failure("INVALID_MODULE", problems.join("; "), {
        fix: "Build the guest against what its kind offers.",
      });
    }
    const { kind: guestKind, maySuspend } = admitted;
    return { id, shared: { key, module, guestKind, maySuspend }, sizeBytes: bytes.length };
  } catch (error) {
    return { id, error: errorBody(error, new Date(systemClock.now()).toISOString()) };
  }
}
