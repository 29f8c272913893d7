import { memoryDebtLimits } from "../../limits.ts";

/** Of memories that were let go since the last collection, in this thread. */
let owedBytes = 0;

/**
 * Says that nobody uses this memory any more. V8 counts instances and not what they have grown to, and finds no reason to
 * collect: 73 commands of 64 MiB each held 5 GB (measured). So this collects whenever `owedBytesMax` are owed. Blocks the
 * thread for that time; does nothing where V8 does not let itself be told (`--expose-gc`).
 */
export function letGo(memory: WebAssembly.Memory | undefined): void {
  if (memory === undefined) return;
  owedBytes += memory.buffer.byteLength;
  if (owedBytes < memoryDebtLimits.owedBytesMax) return;
  owedBytes = 0;
  // At once: messages that came together are worked on together, and a timer would wait for the last of them.
  globalThis.gc?.();
}
