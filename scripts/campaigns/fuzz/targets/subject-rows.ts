import fc from "fast-check";
import type { z } from "zod";
import { validate } from "../../../../src/bus/serve.ts";
import { decode, encode } from "../../../../src/protocol/codec.ts";
import { failureOf } from "../../../../src/protocol/errors.ts";
import { Refusal } from "../../../../src/protocol/reply.ts";
import { type SubjectName, subjects } from "../../../../src/protocol/subjects.ts";
import { anyRequest } from "../../../../test/support/hostile-requests.ts";
import { takenOrRefused } from "../expect.ts";
import { valuesOf } from "../schema-values.ts";
import { fuzzTarget } from "../target.ts";

interface Message {
  readonly row: SubjectName;
  readonly side: "payload" | "reply";
  readonly bytes: Uint8Array;
}

const samplesPerRow = 20;

const messages = (Object.keys(subjects) as SubjectName[]).flatMap((row) =>
  (["payload", "reply"] as const).flatMap((side) => {
    const schema: z.ZodType | null = subjects[row][side];
    if (schema === null) return [];
    const samples = fc.sample(valuesOf(schema), { numRuns: samplesPerRow, seed: 1 }) as object[];
    return [anyRequest(samples).map((bytes): Message => ({ row, side, bytes }))];
  }),
);

/** Every row of the subject table: payloads as `serve` reads them, answers as `ask` does. */
export const target = fuzzTarget<Message>({
  name: "subject-rows",
  weight: 2,
  arbitrary: fc.oneof(...messages),
  check({ row, side, bytes }) {
    const decoded = takenOrRefused(["INVALID_REQUEST"], () => decode(bytes));
    if (decoded === undefined) return false;
    const { value, form } = decoded;
    if (side === "payload")
      return takenOrRefused(["INVALID_REQUEST"], () => sendable(validate(row, value), form)) !== undefined;
    const refusal = Refusal.safeParse(value);
    if (refusal.success) failureOf(refusal.data.error);
    const schema: z.ZodType | null = subjects[row].reply;
    return schema?.safeParse(value).success === true;
  },
});

/** What was read may hold bytes, which JSON has none of. */
function sendable(value: unknown, form: "json" | "msgpack"): unknown {
  if (form === "msgpack") encode(value, form);
  return value;
}
