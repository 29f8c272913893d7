import { Failure } from "./errors.ts";

/**
 * Whether a map must not have this key. They reach the prototype of whatever object a careless merge writes
 * them into, so that no message may hold them, however deep.
 */
export function isForbiddenKey(key: string): boolean {
  return key === "__proto__" || key === "constructor" || key === "prototype";
}

/** The INVALID_REQUEST of a message that is not of its form; `where` is a byte offset or a path. */
export function malformed(what: string, where: number | string, fix: string): Failure {
  const place = typeof where === "number" ? `at byte ${where}` : `at ${where}`;
  return new Failure("INVALID_REQUEST", `the message is malformed ${place}: ${what}`, { fix });
}
