import { describeModule } from "../../../../src/wasm/describe-module.ts";
import { admit } from "../../../../src/wasm/admission/admit.ts";
import { holds, takenOrRefused } from "../expect.ts";
import { coreModules, mutationsOf } from "../modules.ts";
import { fuzzTarget } from "../target.ts";

/** What an instance of a drawn module may use: two pages more than the largest of the originals begins with. */
export const memoryBytesMax = 20 * 65_536;

/** Admission: what it takes is valid for the engine, capped, and told of in words. */
export const target = fuzzTarget<Uint8Array>({
  name: "admission",
  weight: 1,
  arbitrary: mutationsOf(coreModules, true),
  check(bytes) {
    const admitted = takenOrRefused(["INVALID_MODULE"], () => admit(bytes, { memoryBytesMax }));
    takenOrRefused(["INVALID_MODULE"], () => describeModule(bytes));
    if (admitted === undefined) return false;
    holds(WebAssembly.validate(admitted.bytes), "what was admitted is not valid");
    return true;
  },
});
