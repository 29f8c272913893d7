import { componentAdmissionLimits } from "../../limits.ts";
import { invalidModule, quote } from "../admission/invalid-module.ts";
import type { Entity, Exports } from "./component-scope.ts";
import { interfacesOf, usesResources } from "./operations.ts";
import { type HostInterface, hostInterfaces } from "./world/interfaces.ts";
import { unversioned, type WitInterface } from "./wit-type.ts";

/** What a component imports, sorted by who answers. */
export interface SortedImports {
  readonly host: readonly { readonly wanted: WitInterface; readonly offered: HostInterface }[];
  /** Interfaces of other components, which a grant links to a guest. */
  readonly guests: readonly WitInterface[];
}

/**
 * Refuses with INVALID_MODULE, by name, imports that are neither of the host nor functions of another component:
 * other WASI interfaces and versions, resources of other components, single functions.
 */
export function sortImports(imports: Exports): SortedImports {
  const refused: string[] = [];
  const host: SortedImports["host"][number][] = [];
  const guests: WitInterface[] = [];
  for (const [name, entity] of imports) if (!isInterfaceOrType(entity)) refused.push(name);
  for (const wanted of interfacesOf(imports)) {
    const offered = hostInterfaces.get(unversioned(wanted.name));
    if (offered !== undefined && hasKnownVersion(wanted.name)) host.push({ wanted, offered });
    else if (offered === undefined && isOfGuests(wanted)) guests.push(wanted);
    else refused.push(wanted.name);
  }
  if (refused.length > 0) throw refusal(refused);
  return { host, guests };
}

/** Types stand for themselves; a resource among them has nobody who makes it. */
function isInterfaceOrType(entity: Entity): boolean {
  if (entity.sort === "instance") return true;
  return entity.sort === "type" && !(entity.type.of === "value" && entity.type.type.kind === "resource");
}

/** 0.2 and what went before it; drafts of 0.2 have names of their own, and the same functions. */
function hasKnownVersion(name: string): boolean {
  const version = name.split("@")[1];
  return version === undefined || /^0\.[12]\./.test(version);
}

function isOfGuests({ name, functions, hasResources }: WitInterface): boolean {
  const isReserved = /^(?:wasi|wasmcloud|wasmtime):/.test(name);
  if (isReserved || hasResources || !name.includes("/")) return false;
  return functions.size > 0 && ![...functions.values()].some(usesResources);
}

function refusal(names: readonly string[]) {
  const { refusedImportsListedMax } = componentAdmissionLimits;
  const shown = names.slice(0, refusedImportsListedMax).map((name) => quote(name));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : "";
  return invalidModule(`no host gives a component ${shown.join(", ")}${more}`, {
    fix: "Build it for WASI 0.2 and the interfaces in the documentation; other components give functions only.",
    imports: shown,
  });
}
