import { moduleLimits } from "../../limits.ts";
import { ByteReader } from "./byte-reader.ts";
import { checkHeader, headerBytes } from "./check-header.ts";
import { overLimit } from "./invalid-module.ts";
import { type ModuleDraft, newDraft } from "./module-draft.ts";
import type { ModuleSummary, SectionSpan } from "./module-summary.ts";
import { nameSection, namesAreUsable } from "./name-section.ts";
import { readSection } from "./read-sections.ts";
import { sectionId, sectionName, sectionOrder } from "./sections.ts";

/**
 * Reads a core module from its bytes alone, before any engine sees them, and refuses with INVALID_MODULE what
 * is no module, is damaged, or is beyond `moduleLimits` or `memoryBytesMax`. Instructions are not read here
 * (scan-code.ts does), and their types are left to the engine. A part of a component may import its memory.
 */
export function readBinary(
  bytes: Uint8Array,
  memoryBytesMax: number,
  { isPart = false }: { isPart?: boolean } = {},
): ModuleSummary {
  checkHeader(bytes);
  const draft = newDraft(memoryBytesMax, isPart);
  const sections: SectionSpan[] = [];
  const reader = new ByteReader(bytes, headerBytes, bytes.length, "module");
  let place = -1;
  while (reader.at < reader.end) {
    const offset = reader.at;
    const id = reader.byte();
    const contents = reader.within(reader.u32(), sectionName(id));
    sections.push({ id, start: contents.at, end: contents.end });
    if (id === sectionId.custom) {
      readCustomSection(contents, draft, offset);
      continue;
    }
    const nextPlace = sectionOrder.indexOf(id);
    if (nextPlace < 0) throw reader.malformed(`unknown section ${id}`, offset);
    if (nextPlace === place) throw reader.malformed(`a second ${sectionName(id)}`, offset);
    if (nextPlace < place) throw reader.malformed(`the ${sectionName(id)} is out of order`, offset);
    place = nextPlace;
    readSection(id, contents, draft);
    contents.finish();
  }
  checkCounts(reader, draft);
  return summarise(draft, sections);
}

function readCustomSection(contents: ByteReader, draft: ModuleDraft, offset: number): void {
  const name = contents.name("the name of a custom section");
  draft.customSections.push(name);
  if (name === nameSection && namesAreUsable(contents)) draft.hasNames = true;
  const found = draft.customSections.length;
  if (found > moduleLimits.customSectionsMax) {
    throw overLimit("custom sections", found, moduleLimits.customSectionsMax, offset);
  }
}

function checkCounts(reader: ByteReader, draft: ModuleDraft): void {
  const { definedFunctions, bodies, dataCount, dataSegments } = draft;
  if (definedFunctions !== bodies) {
    throw reader.malformed(`${definedFunctions} functions are declared, ${bodies} have a body`, reader.at);
  }
  if (dataCount !== undefined && dataCount !== dataSegments) {
    throw reader.malformed(`${dataCount} data segments are declared, ${dataSegments} are there`, reader.at);
  }
}

function summarise(draft: ModuleDraft, sections: readonly SectionSpan[]): ModuleSummary {
  const [memory] = draft.memories;
  return {
    types: draft.types,
    imports: draft.imports,
    exports: draft.exports,
    ...(memory === undefined ? {} : { memory }),
    tables: draft.tables,
    importedFunctions: draft.imported.function,
    definedFunctions: draft.definedFunctions,
    importedGlobals: draft.imported.global,
    definedGlobals: draft.definedGlobals,
    dataSegments: draft.dataSegments,
    elementSegments: draft.elementSegments,
    ...(draft.startFunction === undefined ? {} : { startFunction: draft.startFunction }),
    hasNames: draft.hasNames,
    customSections: draft.customSections,
    sections,
  };
}
