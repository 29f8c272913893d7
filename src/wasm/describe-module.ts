import { guestLimits } from "../limits.ts";
import { guestKindOf } from "./admission/guest-kind.ts";
import { readBinary } from "./admission/read-binary.ts";
import { pageBytes } from "./admission/read-limits.ts";
import { sortImports } from "./components/check-imports.ts";
import { memoryShares } from "./components/memory-shares.ts";
import { operationsOf } from "./components/operations.ts";
import { isComponent } from "./components/component-header.ts";
import { readComponent } from "./components/read-component.ts";
import { signatureText } from "./components/wit-text.ts";
import type { CoreGuestKind, GuestKind } from "./guests/guest.ts";

/** What a module says of itself, for people who are to run it. */
export interface ModuleDescription {
  readonly kind: GuestKind;
  /** Of a component its interfaces, of a core module its functions: `wapc.__host_call`. */
  readonly imports: readonly string[];
  /** Undefined where the guest itself decides by the name that it is given. */
  readonly operations: readonly DescribedOperation[] | undefined;
  /** What it needs to be granted to use all that it imports; of waPC guests nobody can tell. */
  readonly permissions: readonly string[];
  /** Bytes of memory that it begins with. */
  readonly memoryBytesMin: number;
}

/** Something that a guest can be asked for. */
export interface DescribedOperation {
  readonly name: string;
  /** `(name: string) -> string`; undefined where the payload is bytes. */
  readonly signature?: string;
}

/**
 * Describes the bytes of a module or component without running or compiling any of it. Throws INVALID_MODULE for what
 * cannot be a guest; what passes here can still be refused when it is compiled.
 */
export function describeModule(bytes: Uint8Array): ModuleDescription {
  return isComponent(bytes) ? describeComponent(bytes) : describeCore(bytes);
}

function describeCore(bytes: Uint8Array): ModuleDescription {
  const summary = readBinary(bytes, guestLimits.memoryBytesMax);
  const kind = guestKindOf(summary);
  const names = summary.exports
    .filter(({ name, type }) => type?.parameters.length === 0 && !name.startsWith("_"))
    .map(({ name }) => ({ name }));
  const operations: Record<CoreGuestKind, ModuleDescription["operations"]> = {
    wapc: undefined,
    "wasi-command": undefined,
    "wasi-reactor": names,
  };
  return {
    kind,
    imports: summary.imports.map(({ module, name }) => `${module}.${name}`),
    operations: operations[kind],
    permissions: [],
    memoryBytesMin: (summary.memory?.minPages ?? 0) * pageBytes,
  };
}

function describeComponent(bytes: Uint8Array): ModuleDescription {
  const { imports, exports, coreInstances } = readComponent(bytes, guestLimits.memoryBytesMax);
  memoryShares(coreInstances, guestLimits.memoryBytesMax);
  const { host, guests } = sortImports(imports);
  const permissions = new Set<string>();
  for (const { wanted, offered } of host) {
    for (const [name, permission] of Object.entries(offered.permissions ?? {})) {
      if (wanted.functions.has(name)) permissions.add(permission);
    }
  }
  let memoryBytesMin = 0;
  for (const [{ summary }, count] of coreInstances) {
    memoryBytesMin += (summary.memory?.minPages ?? 0) * pageBytes * count;
  }
  return {
    kind: "component",
    imports: [...host.map(({ wanted }) => wanted.name), ...guests.map(({ name }) => name)],
    operations: [...operationsOf(exports)].map(([name, { kind, type }]) =>
      kind === "function" ? { name, signature: signatureText(type) } : { name },
    ),
    permissions: [...permissions, ...guests.map(({ name }) => `call:<${name}>`)].toSorted(),
    memoryBytesMin,
  };
}
