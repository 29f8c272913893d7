import { camelCase } from "../wit-names.ts";
import type { FunctionTypes } from "./guest-calls.ts";

/** Interfaces as generated code takes them: functions, and classes for resources. */
export type Supplied = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Resources that a guest makes itself; the constructors of all others take parts of the host. */
const constructible = new Set([
  "wasi:http/types fields",
  "wasi:http/types outgoing-request",
  "wasi:http/types outgoing-response",
  "wasi:http/types request-options",
]);

/**
 * The functions among `wanted` that are not there, as `interface#function`. A component names what it imports as it
 * likes, and generated code looks that name up in our objects and classes: whatever is not meant for guests, such as
 * what every function and object inherits, must not be found there.
 */
export function unsupplied(supplied: Supplied, wanted: FunctionTypes): string[] {
  const missing: string[] = [];
  for (const [from, functions] of wanted) {
    for (const name of functions.keys()) {
      if (!isSupplied(supplied[from] ?? {}, from, name)) missing.push(`${from}#${name}`);
    }
  }
  return missing;
}

function isSupplied(entries: Readonly<Record<string, unknown>>, from: string, name: string): boolean {
  const [, kind, resource = "", method = ""] = /^\[(\w+)\]([^.]+)(?:\.(.+))?$/.exec(name) ?? [];
  if (kind === undefined) return has(entries, camelCase(name));
  const className = pascalCase(resource);
  const Class = Object.hasOwn(entries, className) ? entries[className] : undefined;
  if (typeof Class !== "function") return false;
  if (kind === "constructor") return constructible.has(`${from} ${resource}`);
  return has(kind === "static" ? Class : (Class.prototype as object), camelCase(method));
}

/** Whether one of our own has that function, and not the prototype of all objects or functions. */
function has(owner: object, key: string): boolean {
  if (key === "constructor") return false;
  for (let at: object | null = owner; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (at === Object.prototype || at === Function.prototype) return false;
    const property = Object.getOwnPropertyDescriptor(at, key);
    if (property !== undefined) return typeof property.value === "function";
  }
  return false;
}

function pascalCase(name: string): string {
  const camel = camelCase(name);
  return camel.charAt(0).toUpperCase() + camel.slice(1);
}
