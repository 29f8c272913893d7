import { assertId } from "./ids.ts";
import { type SubjectName, type SubjectParameters, subjects } from "./subjects.ts";

const patternTokens = new Map<SubjectName, readonly string[]>(
  (Object.keys(subjects) as SubjectName[]).map((name) => [name, subjects[name].pattern.split(".")]),
);

const parameterOf = (token: string) =>
  token.startsWith("{") ? (token.slice(1, -1) as keyof SubjectParameters) : undefined;

/** The subject to publish on. Every parameter must be a legal id: anything else is INVALID_REQUEST. */
export function subjectFor(name: SubjectName, parameters: SubjectParameters): string {
  return fill(name, (parameter) => legal(parameter, parameters[parameter]));
}

/** The subject to subscribe to; a parameter that is not given matches anything. */
export function filterFor(name: SubjectName, parameters: SubjectParameters): string {
  return fill(name, (parameter) =>
    parameters[parameter] === undefined ? "*" : legal(parameter, parameters[parameter]),
  );
}

/** The parameters in a subject that matched the row's filter. */
export function parametersOf(name: SubjectName, subject: string): SubjectParameters {
  const parameters: SubjectParameters = {};
  const tokens = subject.split(".");
  for (const [index, token] of (patternTokens.get(name) ?? []).entries()) {
    const parameter = parameterOf(token);
    if (parameter !== undefined && tokens[index] !== undefined) parameters[parameter] = tokens[index];
  }
  return parameters;
}

function fill(name: SubjectName, valueOf: (parameter: keyof SubjectParameters) => string): string {
  return (patternTokens.get(name) ?? [])
    .map((token) => {
      const parameter = parameterOf(token);
      return parameter === undefined ? token : valueOf(parameter);
    })
    .join(".");
}

function legal(parameter: string, value: string | undefined): string {
  assertId(value, parameter);
  return value;
}
