import { z } from "zod";
import { type ErrorBody, type ErrorCode, errorCodes } from "./errors.ts";

/** The schema of a travelling error. */
export const ErrorBodySchema = z.looseObject({
  code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
  message: z.string(),
  fix: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
  timestamp: z.string(),
  retry: z.enum(["never", "later", "elsewhere"]),
}) as unknown as z.ZodType<ErrorBody>;

/** A refusal, whatever was asked. */
export const Refusal = z.looseObject({ ok: z.literal(false), error: ErrorBodySchema });

/** An answer's success fields; unknown ones of a newer minor version are carried along. */
export function answer<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.looseObject({ ok: z.literal(true), ...shape });
}

/** How far the answerer's view can be trusted. */
export const ViewStatus = z.looseObject({
  complete: z.boolean(),
  /** Nodes of which something is known to be missing. */
  gaps: z.array(z.string()),
  /** Those of the gaps that were expected and of which nothing was ever heard. */
  neverHeard: z.array(z.string()).optional(),
  /** ISO 8601. */
  asOf: z.string(),
});
export type ViewStatus = z.infer<typeof ViewStatus>;
