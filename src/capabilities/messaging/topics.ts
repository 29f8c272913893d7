import { Failure } from "../../protocol/errors.ts";
import { type PermissionSet, permissionSet } from "../../protocol/permissions.ts";
import { reservedTopic, topicProblem, topicScope } from "../../protocol/scopes.ts";

const read = new WeakMap<readonly string[], PermissionSet>();

/**
 * Why somebody with these permissions may not publish or subscribe to a topic, undefined where they may:
 * INVALID_REQUEST for what is not a topic, PERMISSION_DENIED for a plane that is not for applications, and for a topic
 * that no permission covers.
 */
export function topicRefusal(
  permissions: readonly string[],
  operation: "publish" | "subscribe",
  topic: string,
  field = "topic",
): Failure | undefined {
  const problem = topicProblem(topic);
  if (problem !== undefined) return malformed(field, problem);
  if (operation === "publish" && topic.split(".").some((token) => token === "*" || token === ">")) {
    return malformed(field, "holds a wildcard");
  }
  // Before the permissions, which an operator may have written without thinking of these.
  const reserved = reservedTopic(topic);
  if (reserved !== undefined) {
    return new Failure("PERMISSION_DENIED", `messaging ${operation}: the ${field} ${reserved}`, {
      fix: "Use a topic of the application's own.",
      details: { field },
    });
  }
  const permission = permissionsOf(permissions).missing(operation, () => ({ topic }));
  if (permission === undefined) return undefined;
  return new Failure("PERMISSION_DENIED", `messaging ${operation}: no permission covers the ${field}`, {
    fix: `Grant ${permission}.`,
    details: { field, permission },
  });
}

/** The topics in an operator's comma-separated list, without those that another one covers: each message comes once. */
export function topicsIn(list: string): string[] {
  const topics = [...new Set(list.split(",").map((topic) => topic.trim()))].filter((topic) => topic !== "");
  return topics.filter((topic) => !topics.some((other) => other !== topic && topicScope(other, topic)));
}

/** The topics that the permissions of a grant allow subscribing to. */
export function subscribableTopics(permissions: readonly string[]): string[] {
  const word = "msg:subscribe:";
  const granted = permissions.filter((one) => one.startsWith(word)).map((one) => one.slice(word.length));
  return topicsIn(granted.join(","));
}

function permissionsOf(permissions: readonly string[]): PermissionSet {
  // A grant's permissions are one list for all of its calls.
  const known = read.get(permissions) ?? permissionSet("messaging", permissions);
  read.set(permissions, known);
  return known;
}

function malformed(field: string, problem: string): Failure {
  return new Failure("INVALID_REQUEST", `messaging: the ${field} ${problem}`, {
    fix: "Use tokens of printable ASCII joined by single dots; `*` and a last `>` are for subscribing only.",
    details: { field },
  });
}
