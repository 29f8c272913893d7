import { moduleLimits } from "../../limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import { skipConstantExpression } from "./constant-expression.ts";
import { overLimit } from "./invalid-module.ts";
import type { ModuleDraft } from "./module-draft.ts";
import { readReferenceType } from "./value-types.ts";

/** Bits of the number before an element segment. Source: WebAssembly core specification, "Element Section". */
const elementFlags = { passive: 1, explicit: 2, expressions: 4 } as const;

/** Steps over the element section and counts its segments and their entries. */
export function readElementSection(reader: ByteReader, draft: ModuleDraft): void {
  const { elementSegmentsMax, elementsTotalMax } = moduleLimits;
  draft.elementSegments = reader.count("element segments", elementSegmentsMax);
  const globalCount = draft.imported.global + draft.definedGlobals;
  let total = 0;
  for (let left = draft.elementSegments; left > 0; left -= 1) {
    const offset = reader.at;
    total += skipElementSegment(reader, globalCount);
    if (total > elementsTotalMax) throw overLimit("elements of segments", total, elementsTotalMax, offset);
  }
}

function skipElementSegment(reader: ByteReader, globalCount: number): number {
  const offset = reader.at;
  const { passive, explicit, expressions } = elementFlags;
  const flags = reader.u32();
  if (flags > 7) throw reader.malformed(`unknown element segment ${flags}`, offset);
  const active = (flags & passive) === 0;
  if (active && flags & explicit) reader.skipLeb();
  if (active) skipConstantExpression(reader, globalCount);
  // Only segments 0 and 4 leave out what they hold: functions.
  if (flags & (passive | explicit)) {
    if (flags & expressions) readReferenceType(reader);
    else if (reader.byte() !== 0) throw reader.malformed("a segment that does not hold functions", offset);
  }
  const count = reader.count("elements of a segment", moduleLimits.elementsTotalMax);
  for (let left = count; left > 0; left -= 1) {
    if (flags & expressions) skipConstantExpression(reader, globalCount);
    else reader.skipLeb();
  }
  return count;
}

/** Steps over the data section and counts its segments. */
export function readDataSection(reader: ByteReader, draft: ModuleDraft): void {
  draft.dataSegments = reader.count("data segments", moduleLimits.dataSegmentsMax);
  for (let left = draft.dataSegments; left > 0; left -= 1) {
    const offset = reader.at;
    const flags = reader.u32();
    const passive = 1;
    const explicit = 2;
    if (flags > explicit) throw reader.malformed(`unknown data segment ${flags}`, offset);
    if (flags === explicit) reader.skipLeb();
    if (flags !== passive) skipConstantExpression(reader, draft.imported.global + draft.definedGlobals);
    reader.skip(reader.u32());
  }
}
