import type { Clock } from "../../clock.ts";
import { componentAdmissionLimits } from "../../limits.ts";
import { engineReason } from "../admission/admit.ts";
import { invalidModule, quote } from "../admission/invalid-module.ts";
import { meter } from "../admission/meter.ts";
import { readBinary } from "../admission/read-binary.ts";
import { type SortedImports, sortImports } from "./check-imports.ts";
import type { CorePart, Exports } from "./component-scope.ts";
import { compileScript, scriptOf } from "./generated-code.ts";
import { memoryShares } from "./memory-shares.ts";
import { interfacesOf, type Operation, operationsOf } from "./operations.ts";
import { readComponent } from "./read-component.ts";
import { translateComponent } from "./translate.ts";
import { unsuppliedFunctions } from "./world/component-world.ts";
import type { FunctionTypes } from "./world/guest-calls.ts";
import { unversioned, type WitFunction, type WitInterface } from "./wit-type.ts";

/** A component that may run: plain data and compiled modules, so that it can be posted to cells. */
export interface ComponentCode {
  /** The body of a function; see generated-code.ts. */
  readonly script: string;
  /** Metered and capped, by the names under which the script asks for them. */
  readonly modules: ReadonlyMap<string, WebAssembly.Module>;
  readonly operations: ReadonlyMap<string, Operation>;
  /** Imported interfaces of the host, and of other components: without versions, with their functions by WIT name. */
  readonly hostInterfaces: FunctionTypes;
  readonly guestInterfaces: FunctionTypes;
}

/**
 * Decides whether a component may run, and makes it safe to: reads it, checks what it imports, has it translated in
 * a thread that ends with it, and meters and compiles its core modules. Every refusal is INVALID_MODULE and says what
 * to do.
 */
export async function admitComponent(
  bytes: Uint8Array,
  memoryBytesMax: number,
  clock: Clock,
): Promise<ComponentCode> {
  const { imports, exports, coreInstances } = readComponent(bytes, memoryBytesMax);
  const shares = memoryShares(coreInstances, memoryBytesMax);
  const sorted = sortImports(imports);
  const operations = operationsOf(exports);
  if (operations.size === 0) throw nothingToCall(exports);
  const hostInterfaces = typesOf(sorted.host.map(({ wanted }) => wanted));
  const guestInterfaces = typesOf(sorted.guests);
  const unsupplied = unsuppliedFunctions(hostInterfaces);
  if (unsupplied.length > 0) throw missing(unsupplied);
  const translation = await translateComponent(
    { bytes, suspendingImports: suspendingOf(sorted), suspendingExports: allOf(exports) },
    clock,
  );
  const parts = [...coreInstances.keys()];
  const modules = new Map<string, WebAssembly.Module>();
  for (const [name, core] of translation.modules) {
    modules.set(name, compile(core, parts, shares, memoryBytesMax));
  }
  const script = scriptOf(translation.source);
  checkScript(script);
  return { script, modules, operations, hostInterfaces, guestInterfaces };
}

/** Several versions of one interface are one. */
function typesOf(interfaces: readonly WitInterface[]): FunctionTypes {
  const types = new Map<string, Map<string, WitFunction>>();
  for (const { name, functions } of interfaces) {
    const known = types.get(unversioned(name));
    types.set(unversioned(name), new Map([...(known ?? []), ...functions]));
  }
  return types;
}

/** Names can be reserved words where the generator puts them: better refused here than in every cell. */
function checkScript(script: string): void {
  try {
    compileScript(script);
  } catch (cause) {
    throw invalidModule("the code that was generated for the component is no JavaScript", {
      fix: "Rename exports and imports that are words of JavaScript, such as `arguments`.",
      cause,
    });
  }
}

function missing(functions: readonly string[]) {
  const { refusedImportsListedMax } = componentAdmissionLimits;
  const shown = functions.slice(0, refusedImportsListedMax).map((name) => quote(name));
  const more = functions.length > shown.length ? ` and ${functions.length - shown.length} more` : "";
  return invalidModule(`no host interface has the functions ${shown.join(", ")}${more}`, {
    fix: "Build it against the interfaces of WASI 0.2 as they are published.",
    imports: shown,
  });
}

/** Every host function that may wait, and all of other components. */
function suspendingOf({ host, guests }: SortedImports): string[] {
  const ofHost = host.flatMap(({ wanted, offered }) =>
    offered.suspending.filter((name) => wanted.functions.has(name)).map((name) => nameOf(wanted.name, name)),
  );
  const ofGuests = guests.flatMap(({ name, functions }) =>
    [...functions.keys()].map((one) => nameOf(name, one)),
  );
  return [...ofHost, ...ofGuests];
}

/** All of them: a function that cannot suspend could be entered while another one is suspended. */
function allOf(exports: Exports): string[] {
  const own = [...exports].filter(([, { sort }]) => sort === "function").map(([name]) => name);
  const inside = interfacesOf(exports).flatMap(({ name, functions }) =>
    [...functions.keys()].flatMap((one) => [`${name}#${one}`, nameOf(name, one)]),
  );
  return [...own, ...inside];
}

function nameOf(interfaceName: string, functionName: string): string {
  return `${unversioned(interfaceName)}#${functionName}`;
}

/** A core module of the component as it came, or one that the generator added, which has no memory of its own. */
function compile(
  bytes: Uint8Array,
  parts: readonly CorePart[],
  shares: ReadonlyMap<CorePart, number>,
  memoryBytesMax: number,
): WebAssembly.Module {
  const part = parts.find((one) => Buffer.compare(one.bytes, bytes) === 0);
  const summary = part?.summary ?? readBinary(bytes, memoryBytesMax, { isPart: true });
  if (part === undefined && summary.memory !== undefined) {
    throw invalidModule("translating the component brought a memory that it does not have", {
      fix: "Please report it with the component.",
    });
  }
  const share = part === undefined ? 0 : (shares.get(part) ?? 0);
  const metered = meter(bytes, summary, { memoryBytesMax: share, fuel: true });
  try {
    return new WebAssembly.Module(metered);
  } catch (cause) {
    throw invalidModule(`the engine refuses a core module of the component: ${engineReason(cause)}`, {
      fix: "Build the component again; `wasm-tools validate` shows more.",
      cause,
    });
  }
}

function nothingToCall(exports: Exports) {
  return invalidModule("the component exports nothing that can be called", {
    fix: "Export wasi:http/incoming-handler, wasmcloud:messaging/handler, wasi:cli/run or any function.",
    exports: exports.size,
  });
}
