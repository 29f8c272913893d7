/** Imports that answer with a promise: waiting for a provider, or for time. */
const suspending = new Map([
  ["wapc", "__host_call"],
  ["wasi_snapshot_preview1", "poll_oneoff"],
]);

/** Whether a call of this module may have to wait for its host. Others are entered without a promise. */
export function canSuspend(module: WebAssembly.Module): boolean {
  return WebAssembly.Module.imports(module).some((wanted) => suspending.get(wanted.module) === wanted.name);
}

/** Whether the module imports anything from the module of that name. */
export function importsFrom(module: WebAssembly.Module, name: string): boolean {
  return WebAssembly.Module.imports(module).some((wanted) => wanted.module === name);
}

/** The names of the exported functions. */
export function exportedFunctionNames(module: WebAssembly.Module): string[] {
  return WebAssembly.Module.exports(module)
    .filter((exported) => exported.kind === "function")
    .map((exported) => exported.name);
}
