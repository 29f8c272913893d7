import { componentHttpLimits } from "../../../limits.ts";
import type { HttpErrorCode } from "./http-error-codes.ts";
import { isToken } from "./http-field-list.ts";

/** `wasi:http/types` method. */
export type HttpMethod = { readonly tag: string; readonly val?: string };

/** `wasi:http/types` scheme. */
export type HttpScheme =
  | { readonly tag: "HTTP" }
  | { readonly tag: "HTTPS" }
  | { readonly tag: "other"; readonly val: string };

/** Those that the interface has cases for; every other one is `other`. */
const methods = new Map(
  ["get", "head", "post", "put", "delete", "connect", "options", "trace", "patch"].map((tag) => [
    tag.toUpperCase(),
    tag,
  ]),
);

/** A method as it stands in a message. */
export function methodOf(text: string): HttpMethod {
  const tag = methods.get(text);
  return tag === undefined ? { tag: "other", val: text } : { tag };
}

/** The method in its own word, undefined where there can be none. */
export function methodText({ tag, val }: HttpMethod): string | undefined {
  const text = tag === "other" ? (val ?? "") : tag.toUpperCase();
  return isToken(text, componentHttpLimits.methodBytesMax) ? text : undefined;
}

/** A scheme as it stands in a message. */
export function schemeOf(text: string): HttpScheme {
  const lower = text.toLowerCase();
  if (lower === "http") return { tag: "HTTP" };
  return lower === "https" ? { tag: "HTTPS" } : { tag: "other", val: text };
}

/** The scheme in its own word, undefined where there can be none. */
export function schemeText(scheme: HttpScheme): string | undefined {
  const text = scheme.tag === "other" ? scheme.val : scheme.tag.toLowerCase();
  return /^[A-Za-z][A-Za-z0-9+.-]{0,31}$/.test(text) ? text : undefined;
}

/**
 * Whether the text is a host with or without a port (RFC 3986, 3.2): never a user before it, nor anything that would
 * end the authority of a URL and begin its path.
 */
export function isAuthority(text: string): boolean {
  return (
    text.length <= componentHttpLimits.authorityBytesMax &&
    /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::[0-9]{1,5})?$/.test(text)
  );
}

/** Whether the text is a path with or without a query: printable ASCII without what would end or begin anything else. */
export function isPathWithQuery(text: string): boolean {
  return (
    text.length <= componentHttpLimits.pathBytesMax &&
    /^(?:[/?][!-~]*|\*)?$/.test(text) &&
    !/[#\\]/.test(text)
  );
}

/** The URL of a request to elsewhere; https where it names no scheme. Throws an error-code. */
export function urlOf(
  scheme: HttpScheme | undefined,
  authority: string | undefined,
  path: string | undefined,
): string {
  if (scheme?.tag === "other" || authority === undefined || path === "*") {
    throw { tag: "HTTP-request-URI-invalid" } satisfies HttpErrorCode;
  }
  const text = path ?? "";
  return `${scheme?.tag === "HTTP" ? "http" : "https"}://${authority}${text.startsWith("/") ? text : `/${text}`}`;
}
