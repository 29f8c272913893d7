import { fuelExport, grownExport } from "../../src/wasm/admission/meter.ts";

/** The globals that metering appends, of an instance. */
export interface Counters {
  fuel: WebAssembly.Global<number>;
  grown: WebAssembly.Global<number>;
}

/** The exported functions of an instance by name. */
export type Functions = Record<string, (...values: unknown[]) => unknown>;

/** The appended globals of a metered instance; throws if it was not metered. */
export function countersOf(instance: WebAssembly.Instance): Counters {
  const fuel = instance.exports[fuelExport];
  const grown = instance.exports[grownExport];
  if (!(fuel instanceof WebAssembly.Global) || !(grown instanceof WebAssembly.Global)) {
    throw new Error("the instance is not metered");
  }
  return { fuel, grown } as Counters;
}

/** The functions of an instance; only those that are there may be called. */
export function functionsOf(instance: WebAssembly.Instance): Functions {
  return instance.exports as Functions;
}

/** What `work` throws; an error of its own if it throws nothing. */
export function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}
