import { admit, type AdmittedModule } from "../../../../src/wasm/admission/admit.ts";
import { countersOf, functionsOf } from "../../../../test/support/metered.ts";
import { holds, takenOrRefused } from "../expect.ts";
import { coreModules, mutationsOf } from "../modules.ts";
import { fuzzTarget } from "../target.ts";
import { memoryBytesMax } from "./admission.ts";

const fuel = 5_000;

/** Admitted modules, compiled, instantiated and run in this process: each comes to its end within fuel and memory. */
export const target = fuzzTarget<Uint8Array>({
  name: "admitted-modules",
  weight: 0.15,
  arbitrary: mutationsOf(coreModules, true),
  check(bytes) {
    const admitted = takenOrRefused(["INVALID_MODULE"], () => admit(bytes, { memoryBytesMax }));
    return admitted !== undefined && ranToTheEnd(admitted);
  },
});

function ranToTheEnd({ bytes, summary }: AdmittedModule): boolean {
  const imports: Record<string, Record<string, () => number>> = Object.create(null) as never;
  for (const { module, name } of summary.imports) {
    const of = (imports[module] ??= Object.create(null) as Record<string, () => number>);
    of[name] = () => 0;
  }
  const instance = instanceOf(bytes, imports);
  if (instance === undefined) return false;
  const counters = countersOf(instance);
  for (const { name, kind, type, index } of summary.exports) {
    if (kind !== "function" || index < summary.importedFunctions) continue;
    // JavaScript cannot call what takes or gives a vector; it throws before the function begins.
    if ([...(type?.parameters ?? []), ...(type?.results ?? [])].includes("v128")) continue;
    counters.fuel.value = fuel;
    try {
      functionsOf(instance)[name]?.(...(type?.parameters ?? []).map((of) => (of === "i64" ? 1n : 1)));
    } catch {
      // A trap is as good an end as any.
    }
    const left = Number(counters.fuel.value);
    holds(left < fuel && left >= -1, `${left} of ${fuel} fuel is left`);
  }
  const memory = instance.exports["memory"];
  if (memory instanceof WebAssembly.Memory)
    holds(memory.buffer.byteLength <= memoryBytesMax, `a memory of ${memory.buffer.byteLength} bytes`);
  return true;
}

/** Nothing where a segment does not fit, an import is none that a function can be, or the start function traps. */
function instanceOf(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports) {
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError || error instanceof WebAssembly.LinkError) return undefined;
    if (error instanceof WebAssembly.Exception || error instanceof RangeError) return undefined;
    throw error;
  }
}
