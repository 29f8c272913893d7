import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { valuesOf } from "../../scripts/campaigns/fuzz/schema-values.ts";
import { shareParts } from "../../src/lattice/share-parts.ts";
import { InstanceSpec } from "../../src/protocol/instance-spec.ts";

const isTaken = (schema: z.core.$ZodType, value: unknown) => z.safeParse(schema, value).success;
const specs = valuesOf(InstanceSpec, isTaken).map((value) => InstanceSpec.parse(value));
const copyOf = (spec: InstanceSpec) => structuredClone(spec);

test("P14: whatever two specifications have in common, each says the same after they share it", () => {
  const pairs = fc
    .tuple(specs, specs, fc.subarray(["commandId", "moduleHash", "limits", "config", "capabilities", "name"]))
    .map(([one, other, alike]) => {
      const same = Object.fromEntries(alike.map((key) => [key, other[key as keyof InstanceSpec]]));
      return [InstanceSpec.parse({ ...one, ...copyOf(same as InstanceSpec) }), other] as const;
    });
  fc.assert(
    fc.property(pairs, ([spec, other]) => {
      const [before, otherBefore] = [copyOf(spec), copyOf(other)];
      shareParts(spec, other);
      expect(spec).toEqual(before);
      expect(other).toEqual(otherBefore);
    }),
    { numRuns: 200 },
  );
});

test("R6: a thousand instances of one command keep one copy of what they have in common", () => {
  fc.assert(
    fc.property(specs, (other) => {
      const spec = { ...copyOf(other), instanceId: "another" };
      shareParts(spec, other);
      expect(spec.limits).toBe(other.limits);
      expect(spec.config).toBe(other.config);
      expect(spec.capabilities).toBe(other.capabilities);
      expect(spec.restartPolicy).toBe(other.restartPolicy);
    }),
    { numRuns: 100 },
  );
});
