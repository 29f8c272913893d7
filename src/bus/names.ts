import { Buffer } from "node:buffer";
import { busLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import { echo } from "../protocol/ids.ts";

// The client writes names into the protocol as they are: a line break in a queue name is another command, and an
// empty header name drops the message. Printable ASCII also keeps out NUL, spaces and look-alikes.
const token = String.raw`[!-)+,\-/-=?-~]+`;
const subjectPattern = new RegExp(String.raw`^${token}(?:\.${token})*$`);
const filterPattern = new RegExp(String.raw`^(?:(?:${token}|\*)\.)*(?:${token}|\*|>)$`);
const headerNamePattern = /^[!-9;-~]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for.
const headerValuePattern = /^[^\r\n\0]*$/;

/** The only place that answers may go to: anywhere else, a responder could be made to publish commands with its own rights. */
export const inboxRoot = "_INBOX";

/** Whether an answer may go to `subject`. */
export function isInbox(subject: string): boolean {
  return subject.startsWith(inboxRoot) && subject[inboxRoot.length] === ".";
}

/** Throws INVALID_REQUEST unless answers would go to inboxes below `prefix`. */
export function checkInboxPrefix(prefix: string): void {
  checkSubject(prefix);
  if (prefix === inboxRoot || isInbox(prefix)) return;
  throw new Failure("INVALID_REQUEST", `${prefix} cannot be an inbox prefix`, {
    fix: `Begin it with ${inboxRoot}., for answers go nowhere else.`,
  });
}

/** Throws INVALID_REQUEST unless `subject` can be published to: ASCII tokens without wildcards. */
export function checkSubject(subject: string): void {
  if (subject.length <= busLimits.subjectBytesMax && subjectPattern.test(subject)) return;
  throw invalidName(
    "subject",
    subject,
    busLimits.subjectBytesMax,
    "tokens joined by single dots, no `*`, no `>`",
  );
}

/** Throws INVALID_REQUEST unless `filter` can be subscribed to: a subject in which tokens may be `*` and the last `>`. */
export function checkFilter(filter: string): void {
  if (filter.length <= busLimits.subjectBytesMax && filterPattern.test(filter)) return;
  throw invalidName(
    "filter",
    filter,
    busLimits.subjectBytesMax,
    "tokens or `*` joined by single dots, `>` at the end only",
  );
}

/** Throws INVALID_REQUEST unless `queue` can name a queue group. */
export function checkQueue(queue: string): void {
  if (queue.length <= busLimits.queueNameBytesMax && subjectPattern.test(queue)) return;
  throw invalidName("queue name", queue, busLimits.queueNameBytesMax, "no `*`, no `>`");
}

/** Throws INVALID_REQUEST unless all headers can travel, and returns the bytes that they take in a message. */
export function checkHeaders(headers: Readonly<Record<string, string>>): number {
  const entries = Object.entries(headers);
  if (entries.length > busLimits.headersMax) {
    throw new Failure(
      "INVALID_REQUEST",
      `${entries.length} headers, at most ${busLimits.headersMax} are allowed`,
    );
  }
  let bytes = "NATS/1.0\r\n\r\n".length;
  for (const [name, value] of entries) {
    if (name.length > busLimits.headerNameBytesMax || !headerNamePattern.test(name)) {
      throw invalidName("header name", name, busLimits.headerNameBytesMax, "no colon");
    }
    if (name.toLowerCase() === "status") {
      throw new Failure("INVALID_REQUEST", `the header ${echo(name)} is the server's own`, {
        fix: "Name it otherwise.",
      });
    }
    const valueBytes = Buffer.byteLength(value);
    if (valueBytes > busLimits.headerValueBytesMax || !arrivesUnchanged(value)) {
      throw new Failure("INVALID_REQUEST", `the value of header ${echo(name)} cannot travel`, {
        fix: `Leave out line breaks, NUL and outer spaces, and keep it within ${busLimits.headerValueBytesMax} bytes.`,
        details: { header: echo(name), valueBytes },
      });
    }
    bytes += name.length + valueBytes + ": \r\n".length;
  }
  return bytes;
}

/** Receivers trim values, and text that is not well formed arrives as something else. */
function arrivesUnchanged(value: string): boolean {
  return headerValuePattern.test(value) && value === value.trim() && value.isWellFormed();
}

function invalidName(what: string, name: string, bytesMax: number, rule: string): Failure {
  return new Failure("INVALID_REQUEST", `${echo(name)} is not a ${what}`, {
    fix: `Use printable ASCII without spaces, ${rule}, at most ${bytesMax} bytes.`,
    details: { what, bytes: Buffer.byteLength(name) },
  });
}
