import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { valuesOf } from "../../scripts/campaigns/fuzz/schema-values.ts";
import { validate } from "../../src/bus/serve.ts";
import { Digest, Id } from "../../src/protocol/instance-spec.ts";
import { type SubjectName, subjects } from "../../src/protocol/subjects.ts";
import { failureFrom } from "../support/failure-of.ts";

/** What no id may be; the protocol's lines, its wildcards and its planes among them. */
const illegalIds = [
  "",
  "*",
  ">",
  "a.b",
  "a b",
  "a\tb",
  "a\r\nPUB wasmatrix.ctl.v1.default.instance.stop 2\r\n{}\r\n",
  "a\0",
  "a\u00a0b",
  "a\u2028b",
  "a\u200bb",
  "\u202eab",
  "é",
  "-a",
  "a-",
  "x".repeat(65),
  "x".repeat(100_000),
  "__proto__",
  "$SYS",
  "_INBOX",
  "../n1",
  7,
  null,
  ["a"],
  { toString: "a" },
];
const illegalDigests = [
  `sha256:${"A".repeat(64)}`,
  `sha256:${"a".repeat(63)}`,
  `sha256:${"a".repeat(65)}`,
  `sha512:${"a".repeat(64)}`,
  "a".repeat(64),
  "../../etc/passwd",
  "file:///etc/passwd",
  `sha256:${"a".repeat(63)}\n`,
];

/** Every field of that schema in a payload, as the way to it. */
function fieldsOf(schema: z.core.$ZodType, wanted: z.core.$ZodType): string[][] {
  if (schema === wanted) return [[]];
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return fieldsOf(schema.def.innerType, wanted);
  if (schema instanceof z.ZodArray) return fieldsOf(schema.def.element, wanted).map((way) => ["0", ...way]);
  if (!(schema instanceof z.ZodObject)) return [];
  return Object.entries(schema.def.shape as Record<string, z.core.$ZodType>).flatMap(([name, field]) =>
    fieldsOf(field, wanted).map((way) => [name, ...way]),
  );
}

const fields = (wanted: z.core.$ZodType) =>
  (Object.keys(subjects) as SubjectName[]).flatMap((row) => {
    const schema: z.ZodType | null = subjects[row].payload;
    return schema === null ? [] : fieldsOf(schema, wanted).map((way) => [row, way.join("."), way] as const);
  });

const samples = new Map<SubjectName, object>();

/** A payload of the row, right or nearly, with this value at the end of the way. */
function payloadWith(row: SubjectName, way: readonly string[], value: unknown): unknown {
  const sample = samples.get(row) ?? sampleOf(row);
  samples.set(row, sample);
  const root = structuredClone(sample) as Record<string, unknown>;
  let holder = root;
  for (const [index, step] of way.slice(0, -1).entries()) {
    const inner = holder[step];
    holder[step] = typeof inner === "object" && inner !== null ? inner : way[index + 1] === "0" ? [] : {};
    holder = holder[step] as Record<string, unknown>;
  }
  holder[way.at(-1) ?? ""] = value;
  return root;
}

function sampleOf(row: SubjectName): object {
  const [sample] = fc.sample(valuesOf(subjects[row].payload as unknown as z.ZodType), {
    numRuns: 1,
    seed: 1,
  });
  return sample as object;
}

function refusalNames(row: SubjectName, way: readonly string[], value: unknown): void {
  const failure = failureFrom(() => validate(row, payloadWith(row, way, value)));
  expect(failure.code).toBe("INVALID_REQUEST");
  expect(failure.details?.["fields"]).toContain(way.join("."));
  expect(failure.message).toMatch(/^[\x20-\x7e–…]*$/);
  expect(failure.message.length).toBeLessThan(700);
}

describe("R13.5, P18: whatever is no legal id is refused in every field of every message that takes one", () => {
  test.each(fields(Id))("%s: %s", (row, _, way) => {
    for (const value of illegalIds) refusalNames(row, way, value);
  });
});

describe("R13.5, P18: whatever is no digest is refused in every field of every message that takes one", () => {
  test.each(fields(Digest))("%s: %s", (row, _, way) => {
    for (const value of illegalDigests) refusalNames(row, way, value);
  });
});

test("R13.5: the tests above have found fields of what people send and of what parts send", () => {
  const found = fields(Id).map(([row, field]) => `${row} ${field}`);
  expect(found).toEqual(
    expect.arrayContaining([
      "ctl.instance.start instanceId",
      "ctl.instance.start capabilities.0.capabilityId",
      "ctl.capability.revoke capabilityId",
      "ctl.node.drain nodeId",
    ]),
  );
  expect(found.filter((one) => one.startsWith("node.")).length).toBeGreaterThan(10);
});
