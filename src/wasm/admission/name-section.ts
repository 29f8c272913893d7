import { Failure } from "../../protocol/errors.ts";
import type { ByteReader } from "./byte-reader.ts";

/** Name of the custom section that names functions. */
export const nameSection = "name";

const subsection = { module: 0, functions: 1 } as const;

/**
 * Whether a name section, read from behind its own name, is well-formed and holds no name longer than
 * `moduleLimits.nameBytesMax`. A damaged one is no reason to refuse a module: no engine reads it to run one.
 */
export function namesAreUsable(reader: ByteReader): boolean {
  try {
    while (reader.at < reader.end) skipSubsection(reader);
    return true;
  } catch (error) {
    if (error instanceof Failure) return false;
    throw error;
  }
}

function skipSubsection(section: ByteReader): void {
  const id = section.byte();
  const reader = section.within(section.u32(), "names");
  // Names of locals, labels and the rest are read by debuggers only.
  if (id > subsection.functions) return;
  if (id === subsection.module) {
    reader.name("the name of the module");
  } else {
    for (let count = reader.u32(); count > 0; count -= 1) {
      reader.skipLeb();
      reader.name("the name of a function");
    }
  }
  reader.finish();
}
