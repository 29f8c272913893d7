import { topicLimits } from "../limits.ts";
import { echo } from "./ids.ts";

/** Whether a key begins with the prefix. */
export function prefixScope(prefix: string, key: string): boolean {
  return key.startsWith(prefix);
}

/** Whether `<name>:<operation>` is covered by `<name>` or by `<name>:<operation>`. */
export function targetScope(granted: string, wanted: string): boolean {
  return granted === wanted || wanted.startsWith(`${granted}:`);
}

/** What is wrong with a NATS topic that may hold wildcards, or undefined. */
export function topicProblem(topic: string): string | undefined {
  const tokens = topic.split(".");
  if (Buffer.byteLength(topic) > topicLimits.bytesMax) return `is longer than ${topicLimits.bytesMax} bytes`;
  if (tokens.length > topicLimits.tokensMax) return `has more than ${topicLimits.tokensMax} tokens`;
  // Printable ASCII without a space: anything else reads alike and is not, or ends the protocol's line.
  if (!/^[\x21-\x7e]+$/.test(topic)) return `holds something else than printable ASCII: ${echo(topic)}`;
  if (tokens.some((token) => token === "")) return "has an empty token";
  const last = tokens.length - 1;
  for (const [index, token] of tokens.entries()) {
    if (token === "*" || (token === ">" && index === last)) continue;
    if (/[*>]/.test(token)) return "has a wildcard that is not a token of its own, or > before its end";
  }
  return undefined;
}

/** Whether every subject of a topic is one of the granted topic's; both may hold wildcards. */
export function topicScope(granted: string, topic: string): boolean {
  const wide = granted.split(".");
  const narrow = topic.split(".");
  for (const [index, token] of wide.entries()) {
    const other = narrow[index];
    if (other === undefined) return false;
    if (token === ">") return true;
    if (other === ">" || (token !== "*" && token !== other)) return false;
  }
  return narrow.length === wide.length;
}

/** First tokens of subjects that no application may touch: the server's, the client's and our own. */
const reserved = /^(?:\$.*|_INBOX.*|_R_.*|_GR_.*|wasmatrix)$/i;

/**
 * What keeps an application from a topic whatever it was granted, or undefined: planes of the server, inboxes and our
 * own, also by way of a wildcard in the first token.
 */
export function reservedTopic(topic: string): string | undefined {
  const [first = ""] = topic.split(".");
  if (first === "*" || first === ">") return "reaches every plane; begin with a token of your own";
  return reserved.test(first) ? `belongs to a plane that is not for applications: ${echo(first)}` : undefined;
}

const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/** What is wrong with a domain that may begin with `*.`, or undefined; IP addresses count as domains. */
export function domainProblem(domain: string): string | undefined {
  const name = domain.startsWith("*.") ? domain.slice(2) : domain;
  if (/^\[[0-9a-f:.]+\]$/.test(name) && !domain.startsWith("*.")) return undefined;
  if (name.length > 253) return "is longer than 253 characters";
  if (name !== name.toLowerCase()) return "must be in lower case";
  if (!name.split(".").every((one) => label.test(one))) return `is not a domain name: ${echo(domain)}`;
  return domain.startsWith("*.") && !name.includes(".")
    ? "is a wildcard for a whole top-level domain"
    : undefined;
}

/**
 * Whether a host is the domain, or below it where that begins with `*.`. A name in punycode is never matched by a
 * wildcard, for it can look like another one: it is granted in full.
 */
export function domainScope(granted: string, host: string): boolean {
  if (!granted.startsWith("*.")) return host === granted;
  const parent = granted.slice(1);
  return (
    host.length > parent.length &&
    host.endsWith(parent) &&
    !host
      .slice(0, -parent.length)
      .split(".")
      .some((one) => one === "" || one.startsWith("xn--"))
  );
}
