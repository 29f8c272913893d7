import { Failure } from "../../protocol/errors.ts";
import { type HttpClientLimits, wrong } from "./failures.ts";
import type { Header } from "./headers.ts";
import { readTarget } from "./target.ts";

/** One request of a chain of redirects. */
export interface Hop {
  readonly method: string;
  readonly url: URL;
  readonly headers: readonly Header[];
  /** Whether the body of the first hop goes along. */
  readonly hasBody: boolean;
}

const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/** Of a body that is not sent on (Fetch standard, "request-body-header name"). */
const ofBody = /^content-(?:encoding|language|location|type)$/i;

/** What lets whoever gets it act as the caller. */
const ofCaller = /^(?:authorization|cookie|cookie2)$/i;

/**
 * The hop that an answer redirects to, undefined for any other answer; the rules are those of the Fetch standard
 * ("HTTP-redirect fetch"). Whether the new host is granted is for its caller to check. Throws COMMUNICATION_FAILURE,
 * for it is the server that is wrong, where the next URL is none that a request may go to, or without https after it.
 */
export function redirectedHop(
  hop: Hop,
  answer: { readonly status: number; readonly location: string | undefined },
  limits: HttpClientLimits,
): Hop | undefined {
  if (!redirectStatuses.has(answer.status) || answer.location === undefined) return undefined;
  const url = urlOf(answer.location, hop.url, limits);
  const becomesGet =
    answer.status === 303
      ? hop.method !== "GET" && hop.method !== "HEAD"
      : (answer.status === 301 || answer.status === 302) && hop.method === "POST";
  const staysHome = url.origin === hop.url.origin;
  const headers = hop.headers.filter(
    ([name]) => !(becomesGet && ofBody.test(name)) && (staysHome || !ofCaller.test(name)),
  );
  return { method: becomesGet ? "GET" : hop.method, url, headers, hasBody: hop.hasBody && !becomesGet };
}

/** Where the server's redirects cannot be followed; the caller may still look at them itself. */
export function unfollowed(what: string, cause?: unknown): Failure {
  return new Failure("COMMUNICATION_FAILURE", `http: the server redirects ${what}`, {
    fix: 'Ask with redirect: "manual", and follow what is safe yourself.',
    details: { reason: "redirect" },
    retry: "never",
    cause,
  });
}

function urlOf(location: string, from: URL, limits: HttpClientLimits): URL {
  try {
    const url = readTarget(location, limits, from);
    if (from.protocol === "https:" && url.protocol === "http:") {
      throw wrong("url", "has no TLS any more", "Use https.");
    }
    return url;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw unfollowed(`to what cannot be followed: ${error.message}`, error);
  }
}
