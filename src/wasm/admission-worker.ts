import { readFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { systemClock } from "../clock.ts";
import { type ErrorBody, errorBody, Failure } from "../protocol/errors.ts";
import { admit } from "./admission/admit.ts";
import type { SharedModule } from "./cell-messages.ts";
import { isComponent } from "./components/component-header.ts";
import { linkErrors } from "./guests/load-guest.ts";

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
  void answerTo(request).then((answer) => parentPort?.postMessage(answer));
});

async function answerTo({ id, key, moduleFile, memoryBytesMax }: AdmissionRequest): Promise<AdmissionAnswer> {
  try {
    const bytes = readFileSync(moduleFile);
    const shared = isComponent(bytes)
      ? await sharedComponent(bytes, key, memoryBytesMax)
      : sharedCore(bytes, key, memoryBytesMax);
    return { id, shared, sizeBytes: bytes.length };
  } catch (error) {
    return { id, error: errorBody(error, new Date(systemClock.now()).toISOString()) };
  }
}

async function sharedComponent(
  bytes: Uint8Array,
  key: string,
  memoryBytesMax: number,
): Promise<SharedModule> {
  // Not before the first one comes: it is half of what this thread would take to start.
  const { admitComponent } = await import("./components/admit-component.ts");
  const component = await admitComponent(bytes, memoryBytesMax, systemClock);
  return { key, guestKind: "component", component, maySuspend: true };
}

function sharedCore(bytes: Uint8Array, key: string, memoryBytesMax: number): SharedModule {
  const { kind: guestKind, maySuspend, bytes: admitted } = admit(bytes, { memoryBytesMax });
  const module = new WebAssembly.Module(admitted);
  const problems = linkErrors(module, guestKind);
  if (problems.length > 0) {
    throw new Failure("INVALID_MODULE", problems.join("; "), {
      fix: "Build the guest against what its kind offers.",
    });
  }
  return { key, module, guestKind, maySuspend };
}
