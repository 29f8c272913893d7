import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import { type PermissionSet } from "../../protocol/permissions.ts";
import { type HttpClientLimits, exhausted, wrong } from "./failures.ts";
import { isRefusedPort } from "./ports.ts";

const rule = "Give an absolute URL: https://host/path";

/**
 * A URL that a request may go to, by its form; where its host leads is checked when it is connected to. Spellings of
 * an address (decimal, octal, short, circled digits) are made one by the URL standard's parser, and every check after
 * this looks at what it made, never at the text. Throws INVALID_REQUEST for the field `url`.
 */
export function readTarget(text: unknown, limits: HttpClientLimits, base?: URL): URL {
  if (typeof text !== "string") throw wrong("url", `is not a string but ${echo(text)}`, rule);
  if (text.length > limits.urlCharactersMax) {
    throw exhausted("urlCharactersMax", limits, "Send long values in a body.");
  }
  // The parser drops tabs and line ends without a word: two programs would read two hosts.
  if (hasControl(text)) throw wrong("url", `has a control character: ${echo(text)}`, rule);
  if (!URL.canParse(text, base)) throw wrong("url", `is not an absolute URL: ${echo(text)}`, rule);
  const url = new URL(text, base);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw wrong("url", `has the scheme ${echo(url.protocol)}`, "Use https or http.");
  }
  if (url.username !== "" || url.password !== "") {
    throw wrong("url", "has a user or a password in it", "Send an authorization header instead.");
  }
  if (url.hostname.endsWith(".")) {
    throw wrong("url", `has a host that ends with a dot: ${echo(url.hostname)}`, "Leave the dot out.");
  }
  if (url.port !== "" && isRefusedPort(Number(url.port))) {
    throw wrong("url", `has the port ${url.port}, which is another protocol's`, "Use a port of HTTP.");
  }
  if (url.href.length > limits.urlCharactersMax) {
    throw exhausted("urlCharactersMax", limits, "Send long values in a body.");
  }
  url.hash = "";
  return url;
}

/** Throws PERMISSION_DENIED with what to grant unless the permissions cover requests to that URL. */
export function assertPermitted(permissions: PermissionSet, url: URL, instanceId: string): void {
  const missing = permissions.missing("request", () => ({ url: url.href }));
  if (missing === undefined) return;
  // A longer name is not echoed, and cut short it would be another one.
  const permission = missing.length > 64 ? "http:domain:<domain>" : missing;
  throw new Failure("PERMISSION_DENIED", `http request: no grant covers the host ${echo(url.hostname)}`, {
    fix: `wasmatrix assign ${instanceId} http=${permission}`,
    details: { permission, operation: "request" },
  });
}

function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
