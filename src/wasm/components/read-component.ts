import { componentAdmissionLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { ByteReader } from "../admission/byte-reader.ts";
import { headerBytes } from "../admission/check-header.ts";
import { invalidModule, overLimit } from "../admission/invalid-module.ts";
import { readBinary } from "../admission/read-binary.ts";
import { isComponent } from "./component-header.ts";
import { checkCoreName } from "./component-names.ts";
import {
  addEntity,
  asynchronous,
  type CorePart,
  type Entity,
  type Exports,
  newBudget,
  newScope,
  readCount,
  readIndex,
  type Scope,
  unsupported,
} from "./component-scope.ts";
import { coreModuleSort, readAlias, sorts } from "./read-aliases.ts";
import { readExternName, readExternType, readTypes } from "./read-component-types.ts";

/** What a component says of itself. */
export interface ComponentSummary {
  /** By their full names, in the order of the binary. */
  readonly imports: Exports;
  readonly exports: Exports;
  /** Every core module once, with how often one instance of the component instantiates it. */
  readonly coreInstances: ReadonlyMap<CorePart, number>;
}

/** Sections by number. Source: the component model's `Binary.md`. */
const section = {
  custom: 0,
  coreModule: 1,
  coreInstance: 2,
  coreType: 3,
  component: 4,
  instance: 5,
  alias: 6,
  type: 7,
  canon: 8,
  start: 9,
  import: 10,
  export: 11,
} as const;

/**
 * Reads a component from its bytes alone, with its core modules and the types of its imports and exports, and
 * refuses with INVALID_MODULE what is damaged, beyond `componentAdmissionLimits` and `moduleLimits`, asynchronous,
 * or has names that could be more than names in the code that is generated for it. Whether its parts fit together
 * is left to whoever translates it.
 */
export function readComponent(bytes: Uint8Array, memoryBytesMax: number): ComponentSummary {
  if (!isComponent(bytes)) {
    throw invalidModule("the bytes are no component of version 0x0d", { fix: "Send a WASI 0.2 component." });
  }
  const { componentBytesMax } = componentAdmissionLimits;
  if (bytes.length > componentBytesMax) {
    throw overLimit("bytes of the component", bytes.length, componentBytesMax, 0);
  }
  const scope = newScope(newBudget(memoryBytesMax), undefined, 0);
  readSections(new ByteReader(bytes, headerBytes, bytes.length, "component"), scope);
  const coreInstances = new Map(scope.budget.modules.map((module) => [module, 0]));
  for (const [module, count] of scope.coreInstances) coreInstances.set(module, count);
  return { imports: scope.imports, exports: scope.exports, coreInstances };
}

function readSections(reader: ByteReader, scope: Scope): void {
  while (reader.at < reader.end) {
    const offset = reader.at;
    const id = reader.byte();
    const contents = reader.within(reader.u32(), `section ${id} of the component`);
    if (id === section.custom) continue;
    if (id === section.coreModule) readCoreModule(contents, scope);
    else if (id === section.component) readNestedComponent(contents, scope);
    else readEntries(id, contents, scope, offset);
    if (id !== section.coreModule && id !== section.component) contents.finish();
  }
}

function readEntries(id: number, reader: ByteReader, scope: Scope, offset: number): void {
  if (id === section.type) {
    scope.budget.typeBytes -= reader.end - reader.at;
    const { typeBytesMax } = componentAdmissionLimits;
    if (scope.budget.typeBytes < 0) {
      throw overLimit("bytes of types", typeBytesMax - scope.budget.typeBytes, typeBytesMax, offset);
    }
    return readTypes(reader, scope);
  }
  const read = entryReaders[id];
  if (read === undefined) throw unsupported(`section ${id} of a component`, offset);
  for (let count = readCount(reader, scope, "entries"); count > 0; count -= 1) read(reader, scope);
}

const entryReaders: Readonly<Record<number, (reader: ByteReader, scope: Scope) => void>> = {
  [section.coreInstance]: readCoreInstance,
  [section.instance]: readInstance,
  [section.alias]: readAlias,
  [section.canon]: readCanonical,
  [section.import](reader, scope) {
    const offset = reader.at;
    const name = readExternName(reader);
    if (scope.imports.has(name)) throw reader.malformed("two imports of the same name", offset);
    const entity = readExternType(reader, scope);
    scope.imports.set(name, entity);
    addEntity(scope, entity);
  },
  [section.export](reader, scope) {
    const offset = reader.at;
    const name = readExternName(reader);
    if (scope.exports.has(name)) throw reader.malformed("two exports of the same name", offset);
    const inferred = readEntity(reader, scope);
    // What it says of itself counts for those who use it.
    const entity = reader.byte() === 1 ? readExternType(reader, scope) : inferred;
    scope.exports.set(name, entity);
    addEntity(scope, entity);
  },
};

function readCoreModule(contents: ByteReader, scope: Scope): void {
  const { modules, memoryBytesMax } = scope.budget;
  const number = modules.length;
  if (number >= componentAdmissionLimits.coreModulesMax) {
    throw overLimit("core modules", number + 1, componentAdmissionLimits.coreModulesMax, contents.at);
  }
  const bytes = contents.bytes.subarray(contents.at, contents.end);
  const part: CorePart = { bytes, summary: readPart(bytes, number, memoryBytesMax) };
  for (const { module, name } of part.summary.imports) {
    checkCoreName(module, contents.at);
    checkCoreName(name, contents.at);
  }
  for (const { name } of part.summary.exports) checkCoreName(name, contents.at);
  modules.push(part);
  scope.modules.push(part);
}

function readPart(bytes: Uint8Array, number: number, memoryBytesMax: number) {
  try {
    return readBinary(bytes, memoryBytesMax, { isPart: true });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { fix = "", details = {} } = error;
    throw invalidModule(`core module ${number}: ${error.message}`, { ...details, fix, coreModule: number });
  }
}

function readNestedComponent(contents: ByteReader, outer: Scope): void {
  const offset = contents.at;
  outer.budget.components -= 1;
  if (outer.budget.components < 0) {
    const { componentsMax } = componentAdmissionLimits;
    throw overLimit("components within the component", componentsMax + 1, componentsMax, offset);
  }
  if (!isComponent(contents.bytes.subarray(contents.at, contents.end))) {
    throw contents.malformed("a component within the component has another header", offset);
  }
  contents.skip(headerBytes);
  const scope = newScope(outer.budget, outer, offset);
  readSections(contents, scope);
  outer.components.push({ exports: scope.exports, coreInstances: scope.coreInstances });
}

/** Counts instances of core modules: their memories add up. */
function countInstances(scope: Scope, added: Iterable<readonly [CorePart, number]>, offset: number): void {
  let total = 0;
  for (const [module, count] of added) {
    scope.coreInstances.set(module, (scope.coreInstances.get(module) ?? 0) + count);
  }
  for (const count of scope.coreInstances.values()) total += count;
  const { coreInstancesMax } = componentAdmissionLimits;
  if (total > coreInstancesMax) throw overLimit("instances of core modules", total, coreInstancesMax, offset);
}

function readCoreInstance(reader: ByteReader, scope: Scope): void {
  const offset = reader.at;
  const form = reader.byte();
  if (form > 1) throw reader.malformed(`0x${form.toString(16)} is no kind of core instance`, offset);
  if (form === 0) countInstances(scope, [[readIndex(reader, scope.modules, "core module"), 1]], offset);
  for (let count = readCount(reader, scope, "parts of a core instance"); count > 0; count -= 1) {
    const at = reader.at;
    checkCoreName(reader.name("the name of a part of a core instance"), at);
    reader.byte();
    reader.u32();
  }
}

function readInstance(reader: ByteReader, scope: Scope): void {
  const offset = reader.at;
  const form = reader.byte();
  if (form > 1) throw reader.malformed(`0x${form.toString(16)} is no kind of instance`, offset);
  if (form === 1) {
    const exports = new Map<string, Entity>();
    for (let count = readCount(reader, scope, "exports of an instance"); count > 0; count -= 1) {
      const name = readExternName(reader);
      exports.set(name, readEntity(reader, scope));
    }
    scope.instances.push(exports);
    return;
  }
  const component = readIndex(reader, scope.components, "component");
  countInstances(scope, component.coreInstances, offset);
  for (let count = readCount(reader, scope, "arguments of an instance"); count > 0; count -= 1) {
    reader.name("the name of an argument");
    readEntity(reader, scope);
  }
  scope.instances.push(component.exports);
}

/** A sort and an index. */
function readEntity(reader: ByteReader, scope: Scope): Entity {
  const offset = reader.at;
  const sort = reader.byte();
  switch (sort) {
    case sorts.function:
      return { sort: "function", type: readIndex(reader, scope.functions, "function") };
    case sorts.type:
      return { sort: "type", type: readIndex(reader, scope.types, "type") };
    case sorts.instance:
      return { sort: "instance", exports: readIndex(reader, scope.instances, "instance") };
    case sorts.core:
    case coreModuleSort:
    case sorts.component:
      throw unsupported("a module or component that is handed over", offset);
    default:
      throw unsupported(`something of sort 0x${sort.toString(16)}`, offset);
  }
}

/** Functions that lead into and out of core modules. */
function readCanonical(reader: ByteReader, scope: Scope): void {
  const offset = reader.at;
  const form = reader.byte();
  switch (form) {
    case 0x00: {
      reader.byte();
      reader.u32();
      readOptions(reader, scope);
      const definition = readIndex(reader, scope.types, "type");
      if (definition.of !== "function") throw reader.malformed("a function whose type is another", offset);
      scope.functions.push(definition.type);
      return;
    }
    case 0x01:
      reader.byte();
      readIndex(reader, scope.functions, "function");
      readOptions(reader, scope);
      return;
    case 0x02:
    case 0x03:
    case 0x04:
      readIndex(reader, scope.types, "type");
      return;
    default:
      throw asynchronous(`canonical function 0x${form.toString(16)}`, offset);
  }
}

function readOptions(reader: ByteReader, scope: Scope): void {
  const firstWithIndex = 0x03;
  const lastSynchronous = 0x05;
  for (let count = readCount(reader, scope, "options"); count > 0; count -= 1) {
    const offset = reader.at;
    const option = reader.byte();
    if (option > lastSynchronous) throw asynchronous(`canonical option 0x${option.toString(16)}`, offset);
    if (option >= firstWithIndex) reader.u32();
  }
}
