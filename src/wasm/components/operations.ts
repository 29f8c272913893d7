import { isId } from "../../protocol/ids.ts";
import type { Exports } from "./component-scope.ts";
import { unversioned, type WitFunction, type WitInterface, type WitType } from "./wit-type.ts";

/** What a component can be asked for. */
export interface Operation {
  /** What the payload means: arguments, an HTTP request, a message, or the input of a command. */
  readonly kind: "function" | "http" | "message" | "command";
  /** The interface that exports it, undefined for a function of the component itself. */
  readonly interface: string | undefined;
  /** By its WIT name. */
  readonly functionName: string;
  readonly type: WitFunction;
}

/** Interfaces whose one function is an operation with a name and a meaning of its own. */
const wellKnown = new Map<
  string,
  readonly [functionName: string, operation: string, kind: Operation["kind"]]
>([
  ["wasi:http/incoming-handler", ["handle", "http-request", "http"]],
  ["wasmcloud:messaging/handler", ["handle-message", "handle-message", "message"]],
  ["wasi:cli/run", ["run", "run", "command"]],
]);

/**
 * The operations of a component by name: those of well-known interfaces, then each exported function under its own
 * name, and where it is in an interface also as `<interface>_<function>`, which alone is left where the shorter one
 * is ambiguous. Functions that take or give resources cannot be called by messages.
 */
export function operationsOf(exports: Exports): Map<string, Operation> {
  const operations = new Map<string, Operation>();
  const shortNames = new Map<string, Operation | "ambiguous">();
  for (const [name, entity] of exports) {
    if (entity.sort === "function") {
      addFunction(operations, name, {
        kind: "function",
        interface: undefined,
        functionName: name,
        type: entity.type,
      });
    }
  }
  for (const { name, functions } of interfacesOf(exports)) {
    const [known, operation, kind] = wellKnown.get(unversioned(name)) ?? [];
    for (const [functionName, type] of functions) {
      if (functionName === known && operation !== undefined && kind !== undefined) {
        operations.set(operation, { kind, interface: name, functionName, type });
        continue;
      }
      const found: Operation = { kind: "function", interface: name, functionName, type };
      addFunction(operations, `${lastPart(name)}_${functionName}`, found);
      shortNames.set(functionName, shortNames.has(functionName) ? "ambiguous" : found);
    }
  }
  for (const [name, operation] of shortNames) {
    if (operation !== "ambiguous" && !operations.has(name)) addFunction(operations, name, operation);
  }
  return operations;
}

/** The interfaces among imports or exports. */
export function interfacesOf(entities: Exports): WitInterface[] {
  const found: WitInterface[] = [];
  for (const [name, entity] of entities) {
    if (entity.sort !== "instance") continue;
    const functions = new Map<string, WitFunction>();
    let hasResources = false;
    for (const [inner, one] of entity.exports) {
      if (one.sort === "function") functions.set(inner, one.type);
      // Only what begins a new resource: `use` of another interface's gives a type of the same shape.
      if (/^\[(?:method|static|constructor)\]/.test(inner)) hasResources = true;
    }
    found.push({ name, functions, hasResources });
  }
  return found;
}

function addFunction(operations: Map<string, Operation>, name: string, operation: Operation): void {
  if (isId(name) && !operations.has(name) && !usesResources(operation.type)) operations.set(name, operation);
}

/** `greeter` of `acme:greet/greeter@1.0.0`. */
function lastPart(interfaceName: string): string {
  const name = unversioned(interfaceName);
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Whether a function takes or gives handles, which mean nothing outside the component. */
export function usesResources({ parameters, result }: WitFunction): boolean {
  const seen = new Set<WitType>();
  const waiting = parameters.map(({ type }) => type);
  if (result !== undefined) waiting.push(result);
  // Each type once: they share parts, and written out can be huge.
  for (let type = waiting.pop(); type !== undefined; type = waiting.pop()) {
    if (type.kind === "resource") return true;
    if (seen.has(type)) continue;
    seen.add(type);
    waiting.push(...partsOf(type));
  }
  return false;
}

function partsOf(type: WitType): WitType[] {
  switch (type.kind) {
    case "list":
    case "option":
      return [type.of];
    case "tuple":
      return [...type.of];
    case "record":
      return type.fields.map((field) => field.type);
    case "variant":
      return type.cases.flatMap((one) => (one.type === undefined ? [] : [one.type]));
    case "result":
      return [type.ok, type.err].filter((one) => one !== undefined);
    case "bool":
    case "s8":
    case "u8":
    case "s16":
    case "u16":
    case "s32":
    case "u32":
    case "s64":
    case "u64":
    case "f32":
    case "f64":
    case "char":
    case "string":
    case "enum":
    case "flags":
    case "resource":
      return [];
  }
}
