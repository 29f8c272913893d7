import { systemClock } from "../../../../src/clock.ts";
import { admitComponent } from "../../../../src/wasm/components/admit-component.ts";
import { componentAdmissionLimits } from "../../../../src/limits.ts";
import { takenOrRefusedLater } from "../expect.ts";
import { components, mutationsOf } from "../modules.ts";
import { fuzzTarget } from "../target.ts";

/** Components, admitted with a thread of its own for each translation; some 100 ms a case, so there are few. */
export const target = fuzzTarget<Uint8Array>({
  name: "component-translation",
  weight: 0.002,
  caseMsMax: 2 * componentAdmissionLimits.translationMs,
  arbitrary: mutationsOf(components, false),
  async check(bytes) {
    const code = await takenOrRefusedLater(["INVALID_MODULE"], () =>
      admitComponent(bytes, 64 * 1024 * 1024, systemClock),
    );
    return code !== undefined;
  },
});
