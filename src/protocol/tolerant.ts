import { z } from "zod";

/**
 * The same schema, which carries unknown fields of maps along, at any depth, instead of refusing them. Parts of a newer
 * minor version may add fields to what they tell; people's own requests stay strict, for there an unknown field is a typing
 * mistake. The type stays that of the known fields.
 */
export function tolerant<Schema extends z.ZodType>(schema: Schema): Schema {
  return loosened(schema) as Schema;
}

function loosened(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodObject) {
    const fields = Object.entries(schema.def.shape as Record<string, z.core.$ZodType>);
    const shape = Object.fromEntries(fields.map(([name, field]) => [name, loosened(field)]));
    return schema.clone({ ...schema.def, shape, catchall: z.unknown() });
  }
  if (schema instanceof z.ZodArray)
    return schema.clone({ ...schema.def, element: loosened(schema.def.element) });
  // A discriminated union is one as well, and its clone goes on choosing by its discriminator.
  if (schema instanceof z.ZodUnion)
    return schema.clone({ ...schema.def, options: schema.def.options.map(loosened) });
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return schema.clone({ ...schema.def, innerType: loosened(schema.def.innerType) } as never);
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return schema.clone({ ...schema.def, innerType: loosened(schema.def.innerType) } as never);
  return schema;
}
