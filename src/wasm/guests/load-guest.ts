import { guestTalkLimits } from "../../limits.ts";
import { hostModules, wasiModule } from "../admission/host-functions.ts";
import { quote } from "../admission/invalid-module.ts";
import type { Guest, GuestHost, CoreGuestKind } from "./guest.ts";
import { createWapcGuest } from "./wapc.ts";
import { createWasiCommand } from "./wasi-command.ts";
import { createWasiReactor } from "./wasi-reactor.ts";

interface KindOfGuest {
  readonly load: (module: WebAssembly.Module, host: GuestHost) => Guest;
  /** The import modules that its host supplies. */
  readonly imports: readonly string[];
  /** The function without which a module is not of that kind. */
  readonly entryPoint: string | undefined;
}

const kinds: Record<CoreGuestKind, KindOfGuest> = {
  wapc: { load: createWapcGuest, imports: ["wapc", "env", wasiModule], entryPoint: "__guest_call" },
  "wasi-command": { load: createWasiCommand, imports: [wasiModule], entryPoint: "_start" },
  "wasi-reactor": { load: createWasiReactor, imports: [wasiModule], entryPoint: undefined },
};

/**
 * Brings an instance of the module to life. Throws `GuestStillborn` when the guest ends meanwhile, and
 * INVALID_MODULE for a module of another kind.
 */
export function loadGuest(kind: CoreGuestKind, module: WebAssembly.Module, host: GuestHost): Guest {
  return kinds[kind].load(module, host);
}

/**
 * What keeps the module from being a guest of that kind, a sentence each, without running any of it; empty when
 * nothing does. Imports must be functions of the host, and what the host reads and calls must be exported. Types are
 * admission's part: a compiled module does not tell them.
 */
export function linkErrors(module: WebAssembly.Module, kind: CoreGuestKind): string[] {
  const { imports: supplied, entryPoint } = kinds[kind];
  const errors: string[] = [];
  const exports = WebAssembly.Module.exports(module);
  if (
    entryPoint !== undefined &&
    !exports.some(({ name, kind: is }) => name === entryPoint && is === "function")
  ) {
    errors.push(`the function ${entryPoint} is not exported`);
  }
  const imports = WebAssembly.Module.imports(module);
  if (imports.length > 0 && !exports.some(({ name, kind: is }) => name === "memory" && is === "memory")) {
    errors.push('the memory is not exported under the name "memory"');
  }
  for (const { module: from, name, kind: is } of imports) {
    const isSupplied =
      is === "function" && supplied.includes(from) && hostModules.get(from)?.has(name) === true;
    if (!isSupplied)
      errors.push(`the import ${quote(`${from}.${name}`)}, a ${is}, is not supplied to this kind of guest`);
  }
  const max = guestTalkLimits.linkErrorsMax;
  return errors.length <= max ? errors : [...errors.slice(0, max), `and ${errors.length - max} more`];
}
