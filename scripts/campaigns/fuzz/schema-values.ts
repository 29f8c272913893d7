import fc from "fast-check";
import { z } from "zod";
import { goodTexts } from "./words.ts";

const numbers = [1, 0, 2, 3, 100, 1_000, 65_536, 1_048_576, 100_000_000, 1_700_000_000_000, 0.5, -1];

/**
 * Values that a schema takes, or nearly: refinements of whole objects are not looked at, unless `keeps` says so. Texts and
 * numbers are drawn from those of a list that their own schema takes, so that a new rule needs no word here.
 */
export function valuesOf(
  schema: z.core.$ZodType,
  keeps: (schema: z.core.$ZodType, value: unknown) => boolean = () => true,
): fc.Arbitrary<unknown> {
  return partsOf(schema, (part) => valuesOf(part, keeps)).filter((value) => keeps(schema, value));
}

function partsOf(
  schema: z.core.$ZodType,
  valuesOf: (part: z.core.$ZodType) => fc.Arbitrary<unknown>,
): fc.Arbitrary<unknown> {
  if (schema instanceof z.ZodObject) return objectsOf(schema, valuesOf);
  if (schema instanceof z.ZodArray) return fc.array(valuesOf(schema.def.element), { maxLength: 3 });
  if (schema instanceof z.ZodUnion) return fc.oneof(...schema.def.options.map((one) => valuesOf(one)));
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return valuesOf(schema.def.innerType);
  if (schema instanceof z.ZodNullable) return fc.option(valuesOf(schema.def.innerType), { nil: null });
  if (schema instanceof z.ZodEnum) return fc.constantFrom(...Object.values(schema.def.entries));
  if (schema instanceof z.ZodLiteral) return fc.constantFrom(...schema.def.values);
  if (schema instanceof z.ZodBoolean) return fc.boolean();
  if (schema instanceof z.ZodPipe) return valuesOf(schema.def.in);
  if (schema instanceof z.ZodRecord)
    return fc
      .array(fc.tuple(valuesOf(schema.def.keyType), valuesOf(schema.def.valueType)), { maxLength: 3 })
      .map((entries) => Object.fromEntries(entries as [string, unknown][]));
  if (schema instanceof z.ZodNumber) return anyOf(taken(schema, numbers));
  if (schema instanceof z.ZodUnknown || schema instanceof z.ZodAny)
    return fc.constantFrom<unknown>(1, "x", null, { a: [1] });
  // Texts of any form, and bytes, which travel as base64 in JSON.
  return anyOf(taken(schema, goodTexts));
}

function objectsOf(
  schema: z.ZodObject,
  valuesOf: (part: z.core.$ZodType) => fc.Arbitrary<unknown>,
): fc.Arbitrary<unknown> {
  const fields = Object.entries(schema.def.shape as Record<string, z.core.$ZodType>);
  const optional = new Set(
    fields.filter(([, field]) => z.safeParse(field, undefined).success).map(([name]) => name),
  );
  const model = Object.fromEntries(fields.map(([name, field]) => [name, valuesOf(field)]));
  const requiredKeys = fields.map(([name]) => name).filter((name) => !optional.has(name));
  return fc.record(model, { requiredKeys, noNullPrototype: true }).map(ofOneType);
}

/** Permissions drawn by themselves hardly ever belong to the type beside them: a grant takes the type of its first. */
function ofOneType(value: Record<string, unknown>): Record<string, unknown> {
  const { providerType, permissions } = value;
  if (typeof providerType !== "string" || !Array.isArray(permissions)) return value;
  const [first] = permissions as unknown[];
  const type = typeof first === "string" ? types.get(first.split(":", 1)[0] ?? "") : undefined;
  return type === undefined ? value : { ...value, providerType: type, permissions: [first] };
}

/** What the permissions of a type begin with, where that is not its name. */
const types = new Map([
  ...["kv", "http", "call", "clock", "http-server"].map((type) => [type, type] as const),
  ["msg", "messaging"],
  ["blob", "blobstore"],
]);

function taken<Value>(schema: z.core.$ZodType, values: readonly Value[]): Value[] {
  return values.filter((value) => z.safeParse(schema, value).success);
}

function anyOf(values: readonly unknown[]): fc.Arbitrary<unknown> {
  return values.length === 0 ? fc.constant("AAAA") : fc.constantFrom(...values);
}
