import { moduleLimits } from "../../limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import { invalidModule, overLimit } from "./invalid-module.ts";
import type { ModuleTable } from "./module-summary.ts";
import { garbageCollected, readReferenceType } from "./value-types.ts";

/** Bytes of one page of memory. Source: WebAssembly core specification. */
export const pageBytes = 65_536;

/** Pages of a memory of 4 GiB, as much as 32 bits address. */
const pagesMax = 65_536;

const flags = { max: 1, shared: 2, wide: 4, customPages: 8 } as const;

/** The type of a table: what it holds and how many. */
export function readTableType(reader: ByteReader): ModuleTable {
  const offset = reader.at;
  const withInitialiser = 0x40;
  if (reader.bytes[offset] === withInitialiser) throw garbageCollected("a table with an initialiser", offset);
  const elementType = readReferenceType(reader);
  const { min, max } = readLimits(reader, "table");
  if (min > moduleLimits.tableElementsMax) {
    throw overLimit("elements of a table", min, moduleLimits.tableElementsMax, offset);
  }
  return { elementType, min, ...(max === undefined ? {} : { max }) };
}

/** The type of a memory; refuses one whose minimum is beyond what the instance may use. */
export function readMemoryType(reader: ByteReader, memoryBytesMax: number) {
  const offset = reader.at;
  const { min, max } = readLimits(reader, "memory");
  if (min > pagesMax || (max ?? 0) > pagesMax) {
    throw reader.malformed(`a memory of more than ${pagesMax} pages`, offset);
  }
  if (min * pageBytes > memoryBytesMax) {
    const message = `the memory begins with ${min * pageBytes} bytes, the instance may use ${memoryBytesMax}`;
    throw invalidModule(message, {
      fix: `Start it with a memory limit of at least ${min * pageBytes} bytes, or build it with less memory.`,
      memoryBytesMin: min * pageBytes,
      memoryBytesMax,
      offset,
    });
  }
  return { minPages: min, ...(max === undefined ? {} : { maxPages: max }) };
}

function readLimits(reader: ByteReader, what: string): { min: number; max?: number } {
  const offset = reader.at;
  const flag = reader.byte();
  if (flag & flags.shared) throw unsupported(`a shared ${what}`, "threads", offset);
  if (flag & flags.wide) throw unsupported(`a 64-bit ${what}`, "memory64", offset);
  if (flag & flags.customPages) throw unsupported(`a ${what} with pages of its own size`, "pages", offset);
  if (flag > flags.max) throw reader.malformed(`unknown limits 0x${flag.toString(16)} of a ${what}`, offset);
  const min = reader.u32();
  if (flag === 0) return { min };
  const max = reader.u32();
  if (max < min) throw reader.malformed(`a ${what} whose maximum ${max} is below its minimum ${min}`, offset);
  return { min, max };
}

function unsupported(what: string, feature: string, offset: number) {
  return invalidModule(`byte ${offset}: ${what} is not admitted`, {
    fix: `Compile for wasm32 without the ${feature} feature.`,
    offset,
  });
}
