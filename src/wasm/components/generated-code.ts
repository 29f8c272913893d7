import { compileFunction } from "node:vm";
import { componentAdmissionLimits } from "../../limits.ts";
import { invalidModule, overLimit } from "../admission/invalid-module.ts";

/** The generated function: it asks for core modules by name, and instantiates them in their order. */
export type Instantiate = (
  getCoreModule: (name: string) => WebAssembly.Module,
  imports: Readonly<Record<string, unknown>>,
  instantiateCore: (module: WebAssembly.Module, imports?: WebAssembly.Imports) => WebAssembly.Instance,
) => unknown;

/** What the generated code may use of its surroundings; each call of the code is one life of one guest. */
export interface GeneratedWorld {
  /** Stands for the global of that name. */
  readonly webAssembly: object;
}

/**
 * Replacements that make a function of what the generator writes as an ES module, which V8 would never forget. Each
 * must be found once: another version of the generator is refused here rather than run with parts missing.
 */
const rewrites: readonly (readonly [found: string | RegExp, instead: string])[] = [
  ['"use components";', '"use strict";'],
  ["export function instantiate(", "return function instantiate("],
  [/^export const _util = \{\s*\}\s*$/m, ""],
  [/^[ \t]*if \(!getCoreModule\) getCoreModule = .*import\.meta\.url\)\);$/m, ""],
  // It looks at the environment in every step of every call otherwise.
  [
    /const _debugLog = \(\.\.\.args\) => \{\s*if \([^\n]*JCO_DEBUG\) \{ return; \}\s*console\.debug\(\.\.\.args\);\s*\};/,
    "const _debugLog = () => {};",
  ],
  // It is thrown and caught again at the end of every import that suspends; its stack costs 2–3 µs of 11.
  [
    "throw new Error('waitables with pending events cannot be dropped');",
    "throw (Waitable.pendingError ??= new Error('waitables with pending events cannot be dropped'));",
  ],
];

/** Globals that the generated code gets from us, and those that it is to find empty. */
const parameters = [
  "WebAssembly",
  "globalThis",
  "console",
  "setTimeout",
  "global",
  "process",
  "require",
  "module",
  "exports",
  "Buffer",
  "fetch",
  "Worker",
  "navigator",
  "setInterval",
  "setImmediate",
  "structuredClone",
  "performance",
  "crypto",
  "URL",
  "Function",
];

/** The body of a function that returns `instantiate`. Refuses with INVALID_MODULE code that is not as expected. */
export function scriptOf(source: string): string {
  const { sourceCharactersMax } = componentAdmissionLimits;
  if (source.length > sourceCharactersMax) {
    throw overLimit("characters of generated code", source.length, sourceCharactersMax, 0);
  }
  let script = source;
  for (const [found, instead] of rewrites) {
    const parts = script.split(found);
    if (parts.length !== 2) throw unexpected(`${parts.length - 1} times ${String(found).slice(0, 40)}`);
    script = parts.join(instead);
  }
  if (/^\s*(?:export|import)\b|\bimport\s*[.(]/m.test(script)) throw unexpected("an import or export");
  return script;
}

/** The code as a function of its world, compiled in this thread; garbage-collected like any other. */
export function compileScript(script: string): (world: GeneratedWorld) => Instantiate {
  const make = compileFunction(script, parameters, { filename: "component" }) as (
    ...values: readonly unknown[]
  ) => Instantiate;
  const silent = Object.freeze({ error: nothing, warn: nothing, log: nothing, debug: nothing });
  // Timers serve asynchronous tasks of WASI 0.3 alone, of which an admitted component has none.
  return ({ webAssembly }) =>
    make(webAssembly, Object.freeze({ __proto__: null, WebAssembly: webAssembly }), silent, nothing);
}

const nothing = () => {};

function unexpected(what: string) {
  return invalidModule(`the code that was generated for the component is not as expected: ${what}`, {
    fix: "Please report it with the component; what was generated is not run.",
  });
}
