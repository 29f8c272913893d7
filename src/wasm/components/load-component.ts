import type { ComponentCode } from "./admit-component.ts";
import type { ComponentLife } from "./component-life.ts";
import { compileScript, type GeneratedWorld, type Instantiate } from "./generated-code.ts";

/** Compiled once for each thread; goes with the code that it was made of. */
const compiled = new WeakMap<ComponentCode, (world: GeneratedWorld) => Instantiate>();

/** What a component exports: functions, and interfaces with functions, in camel case. */
export type ComponentExports = Readonly<Record<string, unknown>>;

/** Makes one instance of a component. What its start functions throw is thrown. */
export function instantiateComponent(
  code: ComponentCode,
  imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  life: ComponentLife,
): ComponentExports {
  let make = compiled.get(code);
  if (make === undefined) compiled.set(code, (make = compileScript(code.script)));
  const instantiate = make({ webAssembly: webAssemblyOf(life) });
  const getCoreModule = (name: string) => {
    const module = code.modules.get(name);
    if (module === undefined) throw new Error(`there is no core module ${name}`);
    return module;
  };
  const exports = instantiate(getCoreModule, withoutPrototypes(imports), (module, coreImports) =>
    life.instantiateCore(module, coreImports),
  );
  if (exports instanceof Promise) throw new Error("the component was not instantiated at once");
  return exports as ComponentExports;
}

/** A component cannot import `toString` of every object. */
function withoutPrototypes(imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>) {
  const copy = Object.create(null) as Record<string, unknown>;
  for (const [name, entries] of Object.entries(imports)) {
    copy[name] = Object.assign(Object.create(null), entries);
  }
  return copy;
}

/**
 * `WebAssembly` as the generated code sees it: what suspends the guest ends with the guest, and what the generated
 * code instantiates by itself belongs to the guest, too.
 */
function webAssemblyOf(life: ComponentLife): object {
  const { Global, Memory, Module, RuntimeError, SuspendError, Table, promising } = WebAssembly;
  class Suspending {
    constructor(run: (...args: unknown[]) => unknown) {
      return new WebAssembly.Suspending(life.guarded(run));
    }
  }
  class Instance {
    constructor(module: WebAssembly.Module, imports: WebAssembly.Imports) {
      return life.instantiateCore(module, imports);
    }
  }
  const parts = {
    Global,
    Memory,
    Module,
    RuntimeError,
    SuspendError,
    Table,
    promising,
    Suspending,
    Instance,
  };
  return Object.freeze(Object.assign(Object.create(null), parts));
}
