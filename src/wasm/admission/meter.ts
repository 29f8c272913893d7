import { moduleLimits } from "../../limits.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter, lebOf, signedLebOf } from "./byte-writer.ts";
import { headerBytes } from "./check-header.ts";
import { invalidModule, quote } from "./invalid-module.ts";
import { meterCode } from "./meter-code.ts";
import type { ModuleSummary, SectionSpan } from "./module-summary.ts";
import { nameSection, namesAreUsable } from "./name-section.ts";
import { pageBytes } from "./read-limits.ts";
import { sectionId, sectionOrder } from "./sections.ts";

/**
 * Export of the mutable i32 global with the fuel that is left. The host sets it before each call; every function
 * entry and loop head takes one, and the guest traps once it is below zero.
 */
export const fuelExport = "__wasmatrix_fuel";

/**
 * Export of the mutable i32 global with the result of the last `memory.grow`, 0 before the first: −1 tells that
 * the guest was refused memory.
 */
export const grownExport = "__wasmatrix_grown";

const reservedPrefix = "__wasmatrix_";

/** What metering is told. */
export interface MeterOptions {
  /** Bytes of memory that the guest may use; the maximum of its memory becomes no more than that. */
  readonly memoryBytesMax: number;
  /** Whether to count fuel; the caps and the record of `memory.grow` are there in any case. */
  readonly fuel: boolean;
}

/**
 * Rewrites a module that `readBinary` accepted: counts fuel, records `memory.grow`, and caps memory and tables. Nothing
 * that the module has gets another index, so that its name section stays true. Refuses with INVALID_MODULE unknown
 * and GC instructions, and a module whose exports collide with ours.
 */
export function meter(
  bytes: Uint8Array,
  summary: ModuleSummary,
  options: MeterOptions,
): Uint8Array<ArrayBuffer> {
  refuseCollisions(summary);
  const globalCount = summary.importedGlobals + summary.definedGlobals;
  const rewriting: Rewriting = {
    bytes,
    summary,
    memoryPagesMax: Math.floor(options.memoryBytesMax / pageBytes),
    globalCount,
    grownGlobal: globalCount,
    ...(options.fuel ? { fuelGlobal: globalCount + 1 } : {}),
  };
  const out = new ByteWriter(bytes.length * 2, moduleLimits.meteredBytesMax);
  out.copy(bytes, 0, headerBytes);
  for (const section of withSection(withSection(summary.sections, sectionId.global), sectionId.export)) {
    writeSection(out, section, rewriting);
  }
  return out.take();
}

interface Rewriting {
  readonly bytes: Uint8Array;
  readonly summary: ModuleSummary;
  readonly memoryPagesMax: number;
  readonly globalCount: number;
  readonly grownGlobal: number;
  /** Absent when fuel is not counted. */
  readonly fuelGlobal?: number;
}

function refuseCollisions(summary: ModuleSummary): void {
  const taken = summary.exports.find(({ name }) => name.startsWith(reservedPrefix));
  if (taken === undefined) return;
  throw invalidModule(`the module exports ${quote(taken.name)}; names in ${reservedPrefix} are reserved`, {
    fix: "Rename the export; if the module was admitted before, send the bytes as they were built.",
    export: quote(taken.name),
  });
}

/** The sections with an empty one of that id at its place, if there is none. */
function withSection(sections: readonly SectionSpan[], id: number): readonly SectionSpan[] {
  if (sections.some((section) => section.id === id)) return sections;
  const place = sectionOrder.indexOf(id);
  // Custom sections have no place; an empty one goes before the first that must follow it.
  const next = sections.findIndex((section) => sectionOrder.indexOf(section.id) > place);
  const at = next < 0 ? sections.length : next;
  return [...sections.slice(0, at), { id, start: 0, end: 0 }, ...sections.slice(at)];
}

function writeSection(out: ByteWriter, section: SectionSpan, rewriting: Rewriting): void {
  if (section.id === sectionId.custom && !isKept(section, rewriting)) return;
  const contents = rewritten(section, rewriting);
  out.byte(section.id);
  out.u32(contents.length);
  out.copy(contents);
}

/**
 * Whether a custom section stays. Those that refer to instructions by offset become wrong when code is rewritten,
 * and V8 believes branch hints; names that are too long or damaged would be repeated in every stack trace.
 */
function isKept(section: SectionSpan, { bytes }: Rewriting): boolean {
  const reader = new ByteReader(bytes, section.start, section.end, "custom section");
  const name = reader.name("its name");
  if (name === nameSection) return namesAreUsable(reader);
  return !/^(?:metadata\.code\.|\.debug_|reloc\.)|^(?:sourceMappingURL|external_debug_info|linking)$/.test(
    name,
  );
}

function rewritten(section: SectionSpan, rewriting: Rewriting): Uint8Array {
  const { bytes, summary } = rewriting;
  switch (section.id) {
    case sectionId.table:
      return cappedTables(summary);
    case sectionId.memory:
      return cappedMemory(summary, rewriting.memoryPagesMax);
    case sectionId.global:
      return extended(bytes, section, globals(rewriting));
    case sectionId.export:
      return extended(bytes, section, exportsOfGlobals(rewriting));
    case sectionId.code:
      return meterCode(bytes, section, rewriting);
    default:
      return bytes.subarray(section.start, section.end);
  }
}

function cappedTables({ tables }: ModuleSummary): Uint8Array {
  const entries = tables.flatMap(({ elementType, min, max = moduleLimits.tableElementsMax }) => [
    elementType === "funcref" ? 0x70 : 0x6f,
    ...cappedLimits(min, max, moduleLimits.tableElementsMax),
  ]);
  return Uint8Array.from([...lebOf(tables.length), ...entries]);
}

function cappedMemory({ memory }: ModuleSummary, pagesMax: number): Uint8Array {
  if (memory === undefined) return Uint8Array.of(0);
  return Uint8Array.from([1, ...cappedLimits(memory.minPages, memory.maxPages ?? pagesMax, pagesMax)]);
}

function cappedLimits(min: number, max: number, limit: number): number[] {
  const withMaximum = 1;
  return [withMaximum, ...lebOf(min), ...lebOf(Math.min(max, limit))];
}

/** A section that is a counted list, with entries added at its end. */
function extended(bytes: Uint8Array, section: SectionSpan, entries: readonly number[][]): Uint8Array {
  const reader = new ByteReader(bytes, section.start, section.end, "section");
  const count = section.start === section.end ? 0 : reader.u32();
  const head = lebOf(count + entries.length);
  const tail = entries.flat();
  const contents = new Uint8Array(head.length + (section.end - reader.at) + tail.length);
  contents.set(head);
  contents.set(bytes.subarray(reader.at, section.end), head.length);
  contents.set(tail, contents.length - tail.length);
  return contents;
}

function globals({ fuelGlobal }: Rewriting): number[][] {
  const mutableI32 = (value: number) => [0x7f, 0x01, 0x41, ...signedLebOf(value), 0x0b];
  // In the order of their indices: grown, then fuel.
  const grown = mutableI32(0);
  return fuelGlobal === undefined ? [grown] : [grown, mutableI32(moduleLimits.startFuel)];
}

function exportsOfGlobals({ grownGlobal, fuelGlobal }: Rewriting): number[][] {
  const exported = (name: string, index: number) => {
    const utf8 = [...new TextEncoder().encode(name)];
    return [...lebOf(utf8.length), ...utf8, 0x03, ...lebOf(index)];
  };
  const grown = exported(grownExport, grownGlobal);
  return fuelGlobal === undefined ? [grown] : [grown, exported(fuelExport, fuelGlobal)];
}
