import { componentAdmissionLimits } from "../../limits.ts";
import { invalidModule, overLimit } from "../admission/invalid-module.ts";
import { pageBytes } from "../admission/read-limits.ts";
import type { CorePart } from "./component-scope.ts";

/**
 * How many bytes the memory of each core module may grow to, so that all memories of one instance together stay
 * within the limit. What is left beyond their minima is divided in proportion to these: nothing can move between
 * memories later. Refuses with INVALID_MODULE minima and numbers of tables that are too much together.
 */
export function memoryShares(
  coreInstances: ReadonlyMap<CorePart, number>,
  memoryBytesMax: number,
): Map<CorePart, number> {
  let minPages = 0;
  let weights = 0;
  let tables = 0;
  for (const [{ summary }, count] of coreInstances) {
    tables += summary.tables.length * count;
    if (summary.memory === undefined) continue;
    minPages += summary.memory.minPages * count;
    weights += weightOf(summary.memory.minPages) * count;
  }
  const { tablesMax } = componentAdmissionLimits;
  if (tables > tablesMax) throw overLimit("tables of the component", tables, tablesMax, 0);
  const pagesLeft = Math.floor(memoryBytesMax / pageBytes) - minPages;
  if (pagesLeft < 0) throw tooMuch(minPages * pageBytes, memoryBytesMax);
  const shares = new Map<CorePart, number>();
  for (const part of coreInstances.keys()) {
    const min = part.summary.memory?.minPages;
    if (min === undefined) continue;
    const added = weights === 0 ? 0 : Math.floor((pagesLeft * weightOf(min)) / weights);
    shares.set(part, (min + added) * pageBytes);
  }
  return shares;
}

/** One that begins empty gets a little, too. */
function weightOf(minPages: number): number {
  return minPages + 1;
}

function tooMuch(memoryBytesMin: number, memoryBytesMax: number) {
  return invalidModule(
    `the memories begin with ${memoryBytesMin} bytes together, the instance may use ${memoryBytesMax}`,
    {
      fix: `Start it with a memory limit of at least ${memoryBytesMin} bytes, or build it with less memory.`,
      memoryBytesMin,
      memoryBytesMax,
    },
  );
}
