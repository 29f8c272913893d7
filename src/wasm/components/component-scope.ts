import { componentAdmissionLimits } from "../../limits.ts";
import type { ByteReader } from "../admission/byte-reader.ts";
import { invalidModule, overLimit } from "../admission/invalid-module.ts";
import type { ModuleSummary } from "../admission/module-summary.ts";
import type { WitFunction, WitType } from "./wit-type.ts";

/** A core module inside a component. */
export interface CorePart {
  readonly bytes: Uint8Array;
  readonly summary: ModuleSummary;
}

/** Something that has a name in an interface. */
export type Entity =
  | { readonly sort: "function"; readonly type: WitFunction }
  | { readonly sort: "type"; readonly type: TypeDefinition }
  | { readonly sort: "instance"; readonly exports: Exports };

/** What an instance offers, by name. */
export type Exports = ReadonlyMap<string, Entity>;

/** An entry of the type index space. */
export type TypeDefinition =
  | { readonly of: "value"; readonly type: WitType }
  | { readonly of: "function"; readonly type: WitFunction }
  | { readonly of: "instance"; readonly exports: Exports };

/** A component within another one, as far as its user has to know it. */
export interface NestedComponent {
  readonly exports: Exports;
  /** How often one instance of it instantiates each core module. */
  readonly coreInstances: ReadonlyMap<CorePart, number>;
}

/** The index spaces of one component or instance type; what stands inside sees those around it. */
export interface Scope {
  readonly outer: Scope | undefined;
  readonly depth: number;
  readonly types: TypeDefinition[];
  readonly functions: WitFunction[];
  readonly instances: Exports[];
  readonly components: NestedComponent[];
  readonly modules: CorePart[];
  readonly coreInstances: Map<CorePart, number>;
  readonly imports: Map<string, Entity>;
  readonly exports: Map<string, Entity>;
  /** Shared by all scopes of one component. */
  readonly budget: Budget;
}

/** What is left of what a whole component may hold. */
export interface Budget {
  readonly memoryBytesMax: number;
  entries: number;
  typeBytes: number;
  readonly modules: CorePart[];
  components: number;
}

/** A full budget. */
export function newBudget(memoryBytesMax: number): Budget {
  const { entriesMax, typeBytesMax, componentsMax } = componentAdmissionLimits;
  return {
    memoryBytesMax,
    entries: entriesMax,
    typeBytes: typeBytesMax,
    modules: [],
    components: componentsMax,
  };
}

/** Empty index spaces inside `outer`. Refuses what nests too deep. */
export function newScope(budget: Budget, outer: Scope | undefined, offset: number): Scope {
  const depth = outer === undefined ? 0 : outer.depth + 1;
  if (depth > componentAdmissionLimits.depthMax) {
    throw overLimit("components within components", depth, componentAdmissionLimits.depthMax, offset);
  }
  return {
    outer,
    depth,
    types: [],
    functions: [],
    instances: [],
    components: [],
    modules: [],
    coreInstances: new Map(),
    imports: new Map(),
    exports: new Map(),
    budget,
  };
}

/** The length of a list; every entry of every list of a component is counted. */
export function readCount(reader: ByteReader, scope: Scope, what: string): number {
  const offset = reader.at;
  const count = reader.count(what, componentAdmissionLimits.entriesMax);
  scope.budget.entries -= count;
  if (scope.budget.entries >= 0) return count;
  throw overLimit(
    "definitions of the component",
    componentAdmissionLimits.entriesMax - scope.budget.entries,
    componentAdmissionLimits.entriesMax,
    offset,
  );
}

/** An index into one of the spaces. */
export function readIndex<Entry>(reader: ByteReader, space: readonly Entry[], what: string): Entry {
  const offset = reader.at;
  const index = reader.u32();
  const entry = space[index];
  if (entry === undefined) throw reader.malformed(`there is no ${what} ${index}`, offset);
  return entry;
}

/** Puts a named entity into its index space, too, as imports, aliases and exports do. */
export function addEntity(scope: Scope, entity: Entity): void {
  switch (entity.sort) {
    case "function":
      scope.functions.push(entity.type);
      return;
    case "type":
      scope.types.push(entity.type);
      return;
    case "instance":
      scope.instances.push(entity.exports);
      return;
  }
}

/** The refusal of what belongs to the asynchronous component model of WASI 0.3. */
export function asynchronous(what: string, offset: number) {
  return invalidModule(`byte ${offset}: ${what} belongs to WASI 0.3, which is not supported`, {
    fix: "Build for WASI 0.2 without asynchronous functions, streams and futures (componentize-qjs: --sync).",
    offset,
  });
}

/** The refusal of something of the component model that no guest is built with. */
export function unsupported(what: string, offset: number) {
  return invalidModule(`byte ${offset}: ${what} is not supported`, {
    fix: "Build the component with wit-component, or compose components with wac.",
    offset,
  });
}
