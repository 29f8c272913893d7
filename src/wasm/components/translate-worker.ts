import { parentPort, workerData } from "node:worker_threads";
import { $init, generate } from "@bytecodealliance/jco-transpile/component";

// The entry point of a thread that translates one component and ends: a malformed one can leave the generator in a
// state in which it fails for every component after it.

/** A component to translate, and which of its functions may wait. */
export interface TranslationRequest {
  readonly bytes: Uint8Array;
  /** `wasi:io/poll#poll`. */
  readonly suspendingImports: readonly string[];
  readonly suspendingExports: readonly string[];
}

/** JavaScript, and the core modules that it asks for by file name. */
export interface Translation {
  readonly source: string;
  readonly modules: readonly (readonly [name: string, bytes: Uint8Array])[];
}

/** What comes back: a translation, or the generator's reason against it. */
export type TranslationAnswer = Translation | { readonly refused: string };

const { bytes, suspendingImports, suspendingExports } = workerData as TranslationRequest;
await $init;
parentPort?.postMessage(answer());

function answer(): TranslationAnswer {
  try {
    return translate();
  } catch (error) {
    return { refused: reasonOf(error) };
  }
}

function translate(): Translation {
  const { files } = generate(bytes, {
    name: "guest",
    noTypescript: true,
    instantiation: { tag: "async" },
    asyncMode: { tag: "jspi", val: { imports: [...suspendingImports], exports: [...suspendingExports] } },
    map: [],
    noNodejsCompat: true,
    noComponentErrorWrapping: true,
    base64Cutoff: 0,
    validLiftingOptimization: false,
    tracing: false,
  });
  const source = files.find(([name]) => name.endsWith(".js"))?.[1];
  return {
    source: new TextDecoder().decode(source),
    modules: files.filter(([name]) => name.endsWith(".wasm")),
  };
}

/** The generator throws an object with its text as payload. */
function reasonOf(error: unknown): string {
  const payload = (error as { payload?: unknown } | undefined)?.payload;
  if (typeof payload === "string") return payload;
  return error instanceof Error ? error.message : String(error);
}
