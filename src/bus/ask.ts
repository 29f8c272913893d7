import { subjectFor } from "../protocol/addresses.ts";
import { decode, encode } from "../protocol/codec.ts";
import { Failure, failureOf } from "../protocol/errors.ts";
import { Refusal } from "../protocol/reply.ts";
import { type SubjectName, type SubjectParameters, subjects } from "../protocol/subjects.ts";
import type { z } from "zod";
import type { Bus, RequestOptions } from "./bus.ts";
import type { AnswerOf } from "./serve.ts";

/** What may be sent on a row: defaults may be left out. */
export type QuestionOf<Name extends SubjectName> = (typeof subjects)[Name]["payload"] extends z.ZodType
  ? z.input<NonNullable<(typeof subjects)[Name]["payload"]>>
  : never;

/**
 * Sends one request of a row in MessagePack and resolves with its validated answer. Rejects with the failure
 * that came back, or with what the bus says (see `Bus.request`).
 */
export async function ask<Name extends SubjectName>(
  bus: Bus,
  name: Name,
  parameters: SubjectParameters,
  question: QuestionOf<Name>,
  options: RequestOptions,
): Promise<AnswerOf<Name>> {
  const reply = await bus.request(subjectFor(name, parameters), encode(question, "msgpack"), options);
  const schema: z.ZodType | null = subjects[name].reply;
  if (schema === null) throw new Error(`${name} has no answer`);
  const { value } = decode(reply.data);
  const refusal = Refusal.safeParse(value);
  if (refusal.success) throw failureOf(refusal.data.error);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as unknown as AnswerOf<Name>;
  throw new Failure(
    "VERSION_MISMATCH",
    `the answer to ${name} is not of its form: ${parsed.error.issues[0]?.message}`,
    {
      fix: "Both ends must speak the same major version of the protocol; compare `wasmatrix --version` on both.",
    },
  );
}
