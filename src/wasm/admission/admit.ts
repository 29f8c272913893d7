import { moduleLimits } from "../../limits.ts";
import type { CoreGuestKind } from "../guests/guest.ts";
import { guestKindOf, maySuspend } from "./guest-kind.ts";
import { invalidModule, printable } from "./invalid-module.ts";
import { meter } from "./meter.ts";
import type { ModuleSummary } from "./module-summary.ts";
import { readBinary } from "./read-binary.ts";

/** Under what conditions a module is to run. */
export interface AdmissionLimits {
  /** Bytes of memory that one instance may use. */
  readonly memoryBytesMax: number;
  /** Whether to count fuel, by default true; false where whoever runs it can end the guest by other means. */
  readonly metered?: boolean;
}

/** A module that may be compiled and run. */
export interface AdmittedModule {
  /** The rewritten module: capped, and metered if so wished. Never run the bytes that came in. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly kind: CoreGuestKind;
  /** What the module said of itself before it was rewritten. */
  readonly summary: ModuleSummary;
  /** Whether it imports a function that may wait, so that it must be entered through `WebAssembly.promising`. */
  readonly maySuspend: boolean;
}

/**
 * Decides whether bytes may run as a guest, and makes them safe to: reads the binary, finds its kind, rewrites
 * it and has the engine validate the result. Every refusal is INVALID_MODULE and says what to do. Blocks its
 * thread for about 50 ms per megabyte.
 */
export function admit(bytes: Uint8Array, limits: AdmissionLimits): AdmittedModule {
  const summary = readBinary(bytes, limits.memoryBytesMax);
  const kind = guestKindOf(summary);
  const admitted = meter(bytes, summary, {
    memoryBytesMax: limits.memoryBytesMax,
    fuel: limits.metered ?? true,
  });
  if (!WebAssembly.validate(admitted)) throw invalidForEngine(bytes);
  return { bytes: admitted, kind, summary, maySuspend: maySuspend(summary) };
}

/** Asks the engine about the bytes as they came, so that its offsets are those of the sender's file. */
function invalidForEngine(bytes: Uint8Array) {
  try {
    const module = new WebAssembly.Module(bytes.slice());
    return invalidModule("the module is valid, but not any more once it is metered", {
      fix: "Split its largest functions: metering makes code longer.",
      exports: WebAssembly.Module.exports(module).length,
    });
  } catch (cause) {
    return invalidModule(`the engine refuses the module: ${engineReason(cause)}`, {
      fix: "Build the module again; `wasm-validate` or `wasm-tools validate` shows more.",
      cause,
    });
  }
}

/** V8's reason against a module, without the name of its own function and without that of the guest's. */
export function engineReason(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  const reason = message
    .replace(/^WebAssembly\.Module\(\): /, "")
    .replace(/(function #\d+):".*" failed/s, "$1 failed");
  return printable(reason, moduleLimits.engineReasonCharactersMax);
}
