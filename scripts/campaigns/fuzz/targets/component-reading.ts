import { describeModule } from "../../../../src/wasm/describe-module.ts";
import { readComponent } from "../../../../src/wasm/components/read-component.ts";
import { takenOrRefused } from "../expect.ts";
import { components, mutationsOf } from "../modules.ts";
import { fuzzTarget } from "../target.ts";

/** Components, read from their bytes: names that could be more than names, lying lengths, types without end. */
export const target = fuzzTarget<Uint8Array>({
  name: "component-reading",
  weight: 0.5,
  arbitrary: mutationsOf(components, false),
  check(bytes) {
    const read = takenOrRefused(["INVALID_MODULE"], () => readComponent(bytes, 64 * 1024 * 1024));
    takenOrRefused(["INVALID_MODULE"], () => describeModule(bytes));
    return read !== undefined;
  },
});
