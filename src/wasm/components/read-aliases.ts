import type { ByteReader } from "../admission/byte-reader.ts";
import { checkCoreName, checkExternName } from "./component-names.ts";
import { addEntity, type Entity, readIndex, type Scope, unsupported } from "./component-scope.ts";

/** What an index points at. Source: the component model's `Binary.md`, `sort`. */
export const sorts = { core: 0, function: 1, value: 2, type: 3, component: 4, instance: 5 } as const;

/** The sort `core module`. */
export const coreModuleSort = 0x11;

const sortNames = new Map<number, Entity["sort"]>([
  [sorts.function, "function"],
  [sorts.type, "type"],
  [sorts.instance, "instance"],
]);

/** One alias: a new index for something that an instance exports, or that stands around. */
export function readAlias(reader: ByteReader, scope: Scope): void {
  const offset = reader.at;
  const sort = reader.byte();
  const coreSort = sort === sorts.core ? reader.byte() : undefined;
  const target = reader.byte();
  if (target === 0) return aliasExport(reader, scope, sort, offset);
  if (target === 1) {
    reader.u32();
    const at = reader.at;
    checkCoreName(reader.name("the name of a core export"), at);
    return;
  }
  if (target !== 2) throw reader.malformed(`0x${target.toString(16)} is not a target of an alias`, offset);
  aliasOuter(reader, scope, sort, coreSort, offset);
}

function aliasExport(reader: ByteReader, scope: Scope, sort: number, offset: number): void {
  const exports = readIndex(reader, scope.instances, "instance");
  const name = reader.name("the name of an export");
  checkExternName(name, offset);
  const entity = exports.get(name);
  if (entity === undefined || entity.sort !== sortNames.get(sort)) {
    throw reader.malformed("an alias of something that its instance does not export", offset);
  }
  addEntity(scope, entity);
}

function aliasOuter(
  reader: ByteReader,
  scope: Scope,
  sort: number,
  coreSort: number | undefined,
  offset: number,
): void {
  let outer: Scope | undefined = scope;
  for (let steps = reader.u32(); steps > 0 && outer !== undefined; steps -= 1) outer = outer.outer;
  if (outer === undefined) throw reader.malformed("an alias of something outside of the component", offset);
  if (coreSort === coreModuleSort) scope.modules.push(readIndex(reader, outer.modules, "core module"));
  else if (sort === sorts.type) scope.types.push(readIndex(reader, outer.types, "type"));
  else if (sort === sorts.component) {
    scope.components.push(readIndex(reader, outer.components, "component"));
  } else throw unsupported(`an alias of sort 0x${sort.toString(16)} from outside`, offset);
}
