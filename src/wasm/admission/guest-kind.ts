import type { CoreGuestKind } from "../guests/guest.ts";
import { hostModules, sameType, wasiModule } from "./host-functions.ts";
import { invalidModule, quote } from "./invalid-module.ts";
import type { ModuleImport, ModuleSummary } from "./module-summary.ts";
import { type FunctionType, signature } from "./value-types.ts";

/** Types of the functions by which hosts enter a guest. */
const entryPoints = {
  __guest_call: { parameters: ["i32", "i32"], results: ["i32"] },
  _start: { parameters: [], results: [] },
  _initialize: { parameters: [], results: [] },
} as const satisfies Record<string, FunctionType>;

const importsOf: Readonly<Record<CoreGuestKind, readonly string[]>> = {
  wapc: ["wapc", "env", wasiModule],
  "wasi-command": [wasiModule],
  "wasi-reactor": [wasiModule],
};

/**
 * Finds out from imports and exports how a guest wants to be run. A module that exports `__guest_call` is a waPC
 * guest even if it exports `_start` too, which TinyGo uses for initialisation. Refuses with INVALID_MODULE imports
 * that no host gives to that kind, host or entry functions of another type, and modules without an entry point.
 */
export function guestKindOf(summary: ModuleSummary): CoreGuestKind {
  const kind = kindByExports(summary);
  for (const wanted of summary.imports) checkImport(wanted, kind);
  for (const [name, type] of Object.entries(entryPoints)) checkEntryPoint(summary, name, type);
  const needsMemory = kind === "wapc" || summary.imports.length > 0;
  if (needsMemory && !summary.exports.some(({ name, kind: is }) => name === "memory" && is === "memory")) {
    throw invalidModule(`a ${kind} guest must export its memory as "memory"`, {
      fix: 'Export it: the linker flag is --export-memory, in WAT it is (memory (export "memory") 1).',
    });
  }
  return kind;
}

/** Whether a guest imports a function that may wait for its answer, so that it must be entered suspendably. */
export function maySuspend(summary: ModuleSummary): boolean {
  return summary.imports.some(
    ({ module, name }) =>
      (module === "wapc" && name === "__host_call") || (module === wasiModule && name === "poll_oneoff"),
  );
}

function kindByExports(summary: ModuleSummary): CoreGuestKind {
  const functions = new Set(
    summary.exports.filter(({ kind }) => kind === "function").map(({ name }) => name),
  );
  if (functions.has("__guest_call")) return "wapc";
  if (summary.imports.some(({ module }) => module === "wapc")) {
    throw invalidModule("the module imports from wapc, but exports no function __guest_call", {
      fix: "Export __guest_call(operation_len, payload_len); the waPC guest libraries do it.",
    });
  }
  if (functions.has("_start")) return "wasi-command";
  functions.delete("_initialize");
  if (functions.size > 0) return "wasi-reactor";
  throw invalidModule("the module has no entry point", {
    fix: "Export __guest_call (waPC), _start (a WASI command) or any other function (a WASI reactor).",
    exports: summary.exports.length,
  });
}

function checkImport({ module, name, kind: what, type }: ModuleImport, kind: CoreGuestKind): void {
  const functions = importsOf[kind].includes(module) ? hostModules.get(module) : undefined;
  const expected = what === "function" ? functions?.get(name) : undefined;
  const shown = quote(`${module}.${name}`);
  if (expected === undefined || type === undefined) {
    throw invalidModule(`unknown import ${shown} (${what}): no host gives that to a ${kind} guest`, {
      fix: `Build it for what a ${kind} guest may import: functions of ${importsOf[kind].join(", ")}.`,
      import: shown,
      kind,
    });
  }
  if (!sameType(expected, type)) {
    throw invalidModule(
      `import ${shown} is ${signature(expected)}, the module wants ${quote(signature(type))}`,
      {
        fix: "Build it against the interface as it is published.",
        import: shown,
      },
    );
  }
}

function checkEntryPoint(summary: ModuleSummary, name: string, expected: FunctionType): void {
  const found = summary.exports.find((entry) => entry.name === name)?.type;
  if (found === undefined || sameType(expected, found)) return;
  throw invalidModule(`export ${name} must be ${signature(expected)}, it is ${quote(signature(found))}`, {
    fix: "Give the entry point the type that its interface says.",
    export: name,
  });
}
