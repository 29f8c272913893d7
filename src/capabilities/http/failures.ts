import { errors } from "undici";
import type { httpClientLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";

/** What the client takes and holds; `httpClientLimits` unless a test wants to reach them. */
export type HttpClientLimits = { readonly [name in keyof typeof httpClientLimits]: number };

/** INVALID_REQUEST that names the field. */
export function wrong(field: string, what: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", `http request: ${field} ${what}`, { fix, details: { field } });
}

/** RESOURCE_EXHAUSTED that names the limit; `later` where waiting helps. */
export function exhausted(
  limit: keyof HttpClientLimits,
  limits: HttpClientLimits,
  fix: string,
  retry: "never" | "later" = "never",
): Failure {
  const max = limits[limit];
  return new Failure("RESOURCE_EXHAUSTED", `http: this would exceed ${limit}, ${max}`, {
    fix,
    details: { limit, max },
    retry,
  });
}

/** TIMEOUT that says what was awaited. */
export function late(phase: "connect" | "first-byte" | "whole" | "body", afterMs: number): Failure {
  const awaited = {
    connect: "no connection was made",
    "first-byte": "no answer began",
    whole: "the answer was not complete",
    body: "nothing more of the body came",
  }[phase];
  return new Failure("TIMEOUT", `http: ${awaited} within ${afterMs} ms`, { details: { phase, afterMs } });
}

/** The capability was closed. */
export function stopped(): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", "this http client is closed", {
    fix: "Start the http provider again, or assign another one.",
  });
}

/**
 * What went wrong on the way to a server or back. The client library's own text is not passed on: it has addresses
 * and ports of this network in it.
 */
export function networkFailure(error: unknown, limits: HttpClientLimits): Failure {
  if (error instanceof Failure) return error;
  const reason = codeOf(error);
  if (reason === "UND_ERR_CONNECT_TIMEOUT" || reason === "ETIMEDOUT") {
    return late("connect", limits.connectTimeoutMs);
  }
  if (reason === "UND_ERR_HEADERS_OVERFLOW" || reason === "HPE_HEADER_OVERFLOW") {
    return exhausted("answerHeadersBytesMax", limits, "Its server sends more headers than are taken here.");
  }
  if (reason === "UND_ERR_DESTROYED" || reason === "UND_ERR_CLOSED") return stopped();
  if (reason === undefined)
    return new Failure("INTERNAL_ERROR", "http: an unexpected error", { cause: error });
  return new Failure("COMMUNICATION_FAILURE", `http: ${meaningOf(reason)} (${reason})`, {
    fix: "See whether the server runs, and whether the host and port are right.",
    details: { reason },
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  // Not each of its reasons has a code.
  if (error instanceof errors.HTTPParserError) return error.code ?? "HPE_INVALID";
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" && /^[A-Z0-9_]{1,64}$/.test(code) ? code : undefined;
}

function meaningOf(reason: string): string {
  if (reason === "ENOTFOUND" || reason === "EAI_AGAIN") return "the name of the host has no address";
  if (reason === "ECONNREFUSED") return "nobody listens there";
  if (reason.startsWith("HPE_") || reason.startsWith("UND_ERR_RES_")) return "what came back is no HTTP";
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(reason)) return "the server could not prove who it is";
  return "the connection failed";
}
