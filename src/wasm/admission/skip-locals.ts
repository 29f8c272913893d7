import { moduleLimits } from "../../limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import { overLimit } from "./invalid-module.ts";
import { readValueType } from "./value-types.ts";

/** Steps over the declarations of a body's locals; gives their number. */
export function skipLocals(reader: ByteReader): number {
  let locals = 0;
  for (let runs = reader.u32(); runs > 0; runs -= 1) {
    const offset = reader.at;
    locals += reader.u32();
    if (locals > moduleLimits.localsPerFunctionMax) {
      throw overLimit("locals of a function", locals, moduleLimits.localsPerFunctionMax, offset);
    }
    readValueType(reader);
  }
  return locals;
}
