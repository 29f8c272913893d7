import { filterFor, parametersOf } from "../protocol/addresses.ts";
import type { SubjectRow } from "../protocol/subject-row.ts";
import { type SubjectName, subjects } from "../protocol/subjects.ts";

/** The rows whose requests control planes sign. */
export const signedRows: readonly SubjectName[] = (Object.keys(subjects) as SubjectName[]).filter(
  (name) => (subjects[name] as SubjectRow).signed === true,
);

/** What tells a signed row's subjects from all others: everything but its parameters, which are single tokens. */
const shapes = new Map(signedRows.map((name) => [shapeOf(name, subjects[name].pattern), name]));

/** The node that a signed command is for; undefined for any other subject. */
export function nodeOfCommand(subject: string): string | undefined {
  for (const [shape, name] of shapes) {
    const { node } = parametersOf(name, subject);
    if (node !== undefined && shapeOf(name, subject) === shape) return node;
  }
  return undefined;
}

/** The filters by which a node hears signed commands, with the row of each. */
export function commandFilters(lattice: string, node: string): ReadonlyMap<string, SubjectName> {
  return new Map(signedRows.map((name) => [filterFor(name, { lattice, node }), name]));
}

function shapeOf(name: SubjectName, subject: string): string {
  const pattern = subjects[name].pattern.split(".");
  const tokens = subject.split(".");
  return tokens.map((token, index) => (pattern[index]?.startsWith("{") ? "{}" : token)).join(".");
}
