import { moduleLimits } from "../../limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import { skipConstantExpression } from "./constant-expression.ts";
import { invalidModule, overLimit } from "./invalid-module.ts";
import type { ModuleDraft } from "./module-draft.ts";
import type { ExternalKind, ModuleExport } from "./module-summary.ts";
import { readMemoryType, readTableType } from "./read-limits.ts";
import { readDataSection, readElementSection } from "./read-segments.ts";
import { sectionId } from "./sections.ts";
import { skipLocals } from "./skip-locals.ts";
import { type FunctionType, garbageCollected, readValueType } from "./value-types.ts";

const externalKinds: readonly ExternalKind[] = ["function", "table", "memory", "global", "tag"];

/** Reads the contents of one section into the draft; `id` is one of the known, custom ones excepted. */
export function readSection(id: number, reader: ByteReader, draft: ModuleDraft): void {
  sectionReaders[id]?.(reader, draft);
}

const sectionReaders: Readonly<Record<number, (reader: ByteReader, draft: ModuleDraft) => void>> = {
  [sectionId.type]: readTypes,
  [sectionId.import]: readImports,
  [sectionId.function]: readFunctions,
  [sectionId.table]: readTables,
  [sectionId.memory]: readMemories,
  [sectionId.tag]: readTags,
  [sectionId.global]: readGlobals,
  [sectionId.export]: readExports,
  [sectionId.start]: (reader, draft) => {
    draft.startFunction = readFunctionIndex(reader, draft);
  },
  [sectionId.element]: readElementSection,
  [sectionId.dataCount]: (reader, draft) => {
    draft.dataCount = reader.u32();
  },
  [sectionId.code]: readBodies,
  [sectionId.data]: readDataSection,
};

function readTypes(reader: ByteReader, draft: ModuleDraft): void {
  const length = reader.end - reader.at;
  if (length > moduleLimits.typeSectionBytesMax) {
    throw overLimit("bytes of the type section", length, moduleLimits.typeSectionBytesMax, reader.at);
  }
  const functionForm = 0x60;
  for (let count = reader.count("types", moduleLimits.typesMax); count > 0; count -= 1) {
    const offset = reader.at;
    const form = reader.byte();
    // 0x4e recursive groups, 0x4f and 0x50 subtypes, 0x5e arrays, 0x5f structures.
    if (form >= 0x4e && form < functionForm) throw garbageCollected(`type 0x${form.toString(16)}`, offset);
    if (form !== functionForm)
      throw reader.malformed(`0x${form.toString(16)} is not a function type`, offset);
    draft.types.push({ parameters: readValueTypes(reader), results: readValueTypes(reader) });
  }
}

function readValueTypes(reader: ByteReader) {
  const count = reader.count("parameters or results of a function type", moduleLimits.valuesPerTypeMax);
  return Array.from({ length: count }, () => readValueType(reader));
}

function readImports(reader: ByteReader, draft: ModuleDraft): void {
  for (let count = reader.count("imports", moduleLimits.importsMax); count > 0; count -= 1) {
    const module = reader.name("the module of an import");
    const name = reader.name("the name of an import");
    const kind = readExternalKind(reader);
    draft.imported[kind] += 1;
    draft.imports.push({ module, name, kind, ...readImportType(reader, draft, kind) });
  }
}

function readImportType(reader: ByteReader, draft: ModuleDraft, kind: ExternalKind): { type?: FunctionType } {
  switch (kind) {
    case "function":
      return { type: readFunctionType(reader, draft) };
    case "table":
      readTableType(reader);
      return {};
    case "memory":
      if (draft.isPart) {
        readMemoryType(reader, draft.memoryBytesMax);
        if (draft.imported.memory > 1) throw severalMemories(reader.at);
        return {};
      }
      throw invalidModule("the memory is imported; a guest must have one of its own", {
        fix: "Build it without the linker flag --import-memory, and without threads.",
        offset: reader.at,
      });
    case "global":
      readGlobalType(reader);
      return {};
    case "tag":
      readTagType(reader, draft);
      return {};
  }
}

function readFunctions(reader: ByteReader, draft: ModuleDraft): void {
  draft.definedFunctions = reader.count("functions", moduleLimits.functionsMax);
  for (let left = draft.definedFunctions; left > 0; left -= 1) readFunctionType(reader, draft);
}

function readFunctionType(reader: ByteReader, draft: ModuleDraft): FunctionType {
  const offset = reader.at;
  const index = reader.u32();
  const type = draft.types[index];
  if (type === undefined) throw reader.malformed(`there is no type ${index}`, offset);
  draft.functionTypes.push(index);
  return type;
}

function readTables(reader: ByteReader, draft: ModuleDraft): void {
  for (let count = reader.count("tables", moduleLimits.tablesMax); count > 0; count -= 1) {
    draft.tables.push(readTableType(reader));
  }
}

function readMemories(reader: ByteReader, draft: ModuleDraft): void {
  for (let count = reader.count("memories", 1); count > 0; count -= 1) {
    draft.memories.push(readMemoryType(reader, draft.memoryBytesMax));
    if (draft.imported.memory > 0) throw severalMemories(reader.at);
  }
}

function severalMemories(offset: number) {
  return overLimit("memories of a module", 2, 1, offset);
}

function readTags(reader: ByteReader, draft: ModuleDraft): void {
  draft.definedTags = reader.count("tags", moduleLimits.tagsMax);
  for (let left = draft.definedTags; left > 0; left -= 1) readTagType(reader, draft);
}

/** Every exception holds its values outside the guest's memory, hence the limit. */
function readTagType(reader: ByteReader, draft: ModuleDraft): void {
  const offset = reader.at;
  if (reader.byte() !== 0) throw reader.malformed("a tag that is not an exception", offset);
  const index = reader.u32();
  const type = draft.types[index];
  if (type === undefined) throw reader.malformed(`there is no type ${index}`, offset);
  const found = type.parameters.length;
  if (found > moduleLimits.valuesPerTagMax) {
    throw overLimit("values of an exception", found, moduleLimits.valuesPerTagMax, offset);
  }
}

function readGlobals(reader: ByteReader, draft: ModuleDraft): void {
  for (let count = reader.count("globals", moduleLimits.globalsMax); count > 0; count -= 1) {
    readGlobalType(reader);
    // An initialiser sees the globals before it only.
    skipConstantExpression(reader, draft.imported.global + draft.definedGlobals);
    draft.definedGlobals += 1;
  }
}

function readGlobalType(reader: ByteReader): void {
  const offset = reader.at;
  if (readValueType(reader) === "exnref") throw reader.malformed("a global that holds exceptions", offset);
  const mutability = reader.byte();
  if (mutability > 1) throw reader.malformed(`unknown kind of global 0x${mutability.toString(16)}`, offset);
}

function readExports(reader: ByteReader, draft: ModuleDraft): void {
  const names = new Set<string>();
  for (let count = reader.count("exports", moduleLimits.exportsMax); count > 0; count -= 1) {
    const offset = reader.at;
    const name = reader.name("the name of an export");
    if (names.has(name)) throw reader.malformed("two exports of the same name", offset);
    names.add(name);
    draft.exports.push(readExport(reader, draft, name));
  }
}

function readExport(reader: ByteReader, draft: ModuleDraft, name: string): ModuleExport {
  const offset = reader.at;
  const kind = readExternalKind(reader);
  const index = reader.u32();
  // Beyond the module's own globals lie those that metering appends: an export must not reach them.
  if (index >= countOf(draft, kind)) throw reader.malformed(`there is no ${kind} ${index}`, offset);
  if (kind !== "function") return { name, kind, index };
  return { name, kind, index, type: draft.types[draft.functionTypes[index] as number] as FunctionType };
}

function countOf(draft: ModuleDraft, kind: ExternalKind): number {
  const defined: Record<ExternalKind, number> = {
    function: draft.definedFunctions,
    table: draft.tables.length,
    memory: draft.memories.length,
    global: draft.definedGlobals,
    tag: draft.definedTags,
  };
  return draft.imported[kind] + defined[kind];
}

function readExternalKind(reader: ByteReader): ExternalKind {
  const offset = reader.at;
  const byte = reader.byte();
  const kind = externalKinds[byte];
  if (kind === undefined) throw reader.malformed(`unknown external kind 0x${byte.toString(16)}`, offset);
  return kind;
}

function readFunctionIndex(reader: ByteReader, draft: ModuleDraft): number {
  const offset = reader.at;
  const index = reader.u32();
  if (index >= draft.functionTypes.length) throw reader.malformed(`there is no function ${index}`, offset);
  return index;
}

function readBodies(reader: ByteReader, draft: ModuleDraft): void {
  draft.bodies = reader.count("function bodies", moduleLimits.functionsMax);
  let localsTotal = 0;
  for (let index = 0; index < draft.bodies; index += 1) {
    const offset = reader.at;
    const size = reader.u32();
    if (size > moduleLimits.functionBodyBytesMax) {
      throw overLimit("bytes of a function", size, moduleLimits.functionBodyBytesMax, offset);
    }
    localsTotal += skipLocals(reader.within(size, "function body"));
    if (localsTotal > moduleLimits.localsTotalMax) {
      throw overLimit("locals of all functions", localsTotal, moduleLimits.localsTotalMax, offset);
    }
  }
}
