import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { valuesOf } from "../../scripts/campaigns/fuzz/schema-values.ts";
import { parametersOf, subjectFor } from "../../src/protocol/addresses.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { type SubjectName, type SubjectParameters, subjects } from "../../src/protocol/subjects.ts";

const sides = (Object.keys(subjects) as SubjectName[]).flatMap((name) =>
  (["payload", "reply"] as const).flatMap((side) => {
    const schema: z.ZodType | null = subjects[name][side];
    return schema === null ? [] : [[name, side, schema] as const];
  }),
);

/** Rules about whole maps are not known to the generator: what they refuse is drawn again. */
const isTaken = (schema: z.core.$ZodType, value: unknown) =>
  !(schema instanceof z.ZodObject) || z.safeParse(schema, value).success;

describe("P16, R11.3: whatever control planes, nodes and providers may tell each other survives the way", () => {
  test.each(sides)("%s, its %s", (_name, _side, schema) => {
    fc.assert(
      fc.property(valuesOf(schema, isTaken), (value) => {
        const meant = schema.parse(value);
        expect(schema.parse(decode(encode(meant as object, "msgpack")).value)).toEqual(meant);
      }),
      { numRuns: 100 },
    );
  });

  test("its subject names the same again for whoever listens", () => {
    const names = Object.keys(subjects) as SubjectName[];
    const id = fc.stringMatching(/^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$/);
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.infiniteStream(id), (name, ids) => {
        const parameters: SubjectParameters = {};
        for (const [, parameter = ""] of subjects[name].pattern.matchAll(/\{(\w+)\}/g))
          parameters[parameter as keyof SubjectParameters] = ids.next().value as string;
        expect(parametersOf(name, subjectFor(name, parameters))).toEqual(parameters);
      }),
      { numRuns: 500 },
    );
  });
});
