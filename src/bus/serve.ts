import { z } from "zod";
import { filterFor, parametersOf } from "../protocol/addresses.ts";
import { decode, encode, type Form } from "../protocol/codec.ts";
import { errorBody, Failure } from "../protocol/errors.ts";
import { echo } from "../protocol/ids.ts";
import { type SubjectName, type SubjectParameters, subjects } from "../protocol/subjects.ts";
import type { Clock } from "../clock.ts";
import type { Bus, BusMessage, Subscription } from "./bus.ts";

/** What a row's payload is once it is decoded and validated. */
export type RequestOf<Name extends SubjectName> =
  (typeof subjects)[Name]["payload"] extends z.ZodType<infer Request> ? Request : never;

/** What an answer to a row holds beside `ok`. */
export type AnswerOf<Name extends SubjectName> =
  (typeof subjects)[Name]["reply"] extends z.ZodType<infer Reply>
    ? { [Field in keyof Reply as Field extends "ok" ? never : Field]: Reply[Field] }
    : never;

/**
 * Answers the requests of one row: decodes and validates first, and answers in the form it was asked in. What
 * the handler throws becomes the answer.
 */
export function serve<Name extends SubjectName>(
  bus: Bus,
  clock: Clock,
  name: Name,
  parameters: SubjectParameters,
  handler: (
    request: RequestOf<Name>,
    parameters: SubjectParameters,
  ) => AnswerOf<Name> | Promise<AnswerOf<Name>>,
  queue?: string,
): Subscription {
  const answer = async (message: BusMessage) => {
    let form: Form = message.data[0] === 0x7b ? "json" : "msgpack";
    try {
      const decoded = decode(message.data);
      form = decoded.form;
      const request = validate(name, decoded.value) as RequestOf<Name>;
      const result = await handler(request, parametersOf(name, message.subject));
      message.respond(encode({ ok: true, ...result }, form));
    } catch (error) {
      const body = errorBody(error, new Date(clock.now()).toISOString());
      message.respond(encode({ ok: false, error: body }, form));
    }
  };
  return bus.subscribe(
    filterFor(name, parameters),
    (message) => void answer(message).catch(() => undefined),
    queue === undefined ? {} : { queue },
  );
}

/** Validates a payload against its row; INVALID_REQUEST names each field that is wrong. */
export function validate(name: SubjectName, value: unknown): unknown {
  const schema = subjects[name].payload;
  if (schema === null) return value;
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, 5).map((issue) => {
    const field = fieldOf(issue);
    return field === "" ? wordsOf(issue) : `${field}: ${wordsOf(issue)}`;
  });
  throw new Failure("INVALID_REQUEST", problems.join("; "), {
    fix: "subjects.md lists what each command takes.",
    details: { fields: parsed.error.issues.slice(0, 20).map(fieldOf) },
  });
}

/** Where a problem is; the keys of a map are texts of whoever sent it. */
function fieldOf({ path }: z.core.$ZodIssue): string {
  const field = path.join(".");
  return /^[\x20-\x7e]{0,64}$/.test(field) ? field : echo(field);
}

/** The library's own words repeat unknown fields as they are, however many and however long. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "unrecognized_keys") return issue.message;
  const { keys } = issue;
  const more = keys.length > 3 ? ` and ${keys.length - 3} more` : "";
  return `Unrecognized key${keys.length === 1 ? "" : "s"}: ${keys.slice(0, 3).map(echo).join(", ")}${more}`;
}
