import type { z } from "zod";
import { tolerant } from "./tolerant.ts";

/** Who speaks or listens on the bus. */
export type Role = "operator" | "control-plane" | "node" | "provider" | "observer";

/** One row of the table: everything about one family of subjects. */
export interface SubjectRow<Payload = z.ZodType | null, Reply = z.ZodType | null> {
  /** Tokens in braces are parameters. */
  readonly pattern: string;
  /** `queue`: one of the listeners answers. `request`: the one listener answers. `broadcast`: all hear it. */
  readonly kind: "queue" | "request" | "broadcast";
  readonly publishers: readonly Role[];
  readonly listeners: readonly Role[];
  /** The parameter that is the publisher's own id: nobody speaks in another's name. Without it, it is whoever is meant. */
  readonly speaker?: string;
  /** The parameter that is the listener's own id; `provider`: the name of a provider that it hosts. */
  readonly listener?: string;
  /** Kinds of providers that never speak here; others that do are publishers. */
  readonly notOf?: readonly string[];
  /** Control planes sign each request, and whoever listens refuses it without; see src/trust/command-signature.ts. */
  readonly signed?: boolean;
  /** The schema of the payload; null where it is raw bytes of a guest. */
  readonly payload: Payload;
  /** The schema of the answer; null where it is raw bytes or there is none. */
  readonly reply: Reply;
  readonly says: string;
}

/** Writes a row, with schemas that take what its speakers may add to it. */
export const row = <const Payload extends z.ZodType | null, const Reply extends z.ZodType | null>(
  definition: SubjectRow<Payload, Reply>,
): SubjectRow<Payload, Reply> => ({
  ...definition,
  // What parts tell each other may hold fields of a newer minor version; what people ask for is taken by the letter.
  payload: isForPeople(definition) ? definition.payload : known(definition.payload),
  reply: known(definition.reply),
});

const isForPeople = ({ publishers }: Pick<SubjectRow, "publishers">) =>
  publishers.every((role) => role === "operator");

const known = <Schema extends z.ZodType | null>(schema: Schema): Schema =>
  schema === null ? schema : (tolerant(schema) as Schema);
