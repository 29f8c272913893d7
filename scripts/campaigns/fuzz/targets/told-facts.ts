import fc from "fast-check";
import { createColors } from "picocolors";
import { factLine } from "../../../../cli/render/fact.ts";
import { FactSchema } from "../../../../src/protocol/facts.ts";
import { holds } from "../expect.ts";
import { valuesOf } from "../schema-values.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

const plain = createColors(false);
const facts = fc.sample(valuesOf(FactSchema), { numRuns: 400, seed: 5 }) as object[];
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for.
const unprintable = /[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;

/** What a terminal is shown of facts: nothing in them moves its cursor or hides a line. */
export const target = fuzzTarget<readonly [object, string]>({
  name: "told-facts",
  weight: 0.5,
  arbitrary: fc.tuple(fc.constantFrom(...facts), anyText),
  check([drawn, text]) {
    const parsed = FactSchema.safeParse(withText(drawn, text));
    if (!parsed.success) return false;
    holds(!unprintable.test(factLine(plain, parsed.data)), "a line of a fact is more than a line");
    return true;
  },
});

/** The same fact, in which free texts say this. */
function withText(value: unknown, text: string): unknown {
  if (Array.isArray(value)) return value.map((one) => withText(one, text));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      /^(?:reason|message|operation|fix|permission|topic|backend|version|address|hostname|cause|text)$/.test(
        key,
      )
        ? text
        : withText(inner, text),
    ]),
  );
}
