import { type ErrorCode, Failure, isErrorCode } from "../../../protocol/errors.ts";
import type { IoError } from "./io-error.ts";

/** `wasi:http/types` error-code, thrown as it is; only the cases that a host of ours reports carry something. */
export interface HttpErrorCode {
  readonly tag: string;
  readonly val?: unknown;
}

/** Failures that have a case of their own, whatever else they say. */
const cases: ReadonlyMap<ErrorCode, HttpErrorCode> = new Map([
  ["PERMISSION_DENIED", { tag: "HTTP-request-denied" }],
  ["PROVIDER_UNAVAILABLE", { tag: "destination-unavailable" }],
  ["PROVIDER_NOT_FOUND", { tag: "destination-unavailable" }],
  ["PAYLOAD_TOO_LARGE", { tag: "HTTP-request-body-size" }],
]);

/** A failure in the words of wasi:http. */
export function httpErrorOf(failure: Failure): HttpErrorCode {
  const { code, details } = failure;
  if (code === "TIMEOUT") {
    return { tag: details?.["phase"] === "connect" ? "connection-timeout" : "HTTP-response-timeout" };
  }
  if (code === "INVALID_REQUEST") return invalidRequest(failure);
  if (code === "COMMUNICATION_FAILURE") return connectionError(details?.["reason"]);
  if (code === "RESOURCE_EXHAUSTED" && failure.retry === "later") return { tag: "connection-limit-reached" };
  return cases.get(code) ?? internalError(`${code}: ${failure.message}`);
}

/** `wasi:http/types` http-error-code: what broke a body, undefined where it was nothing of HTTP. */
export function httpErrorCode(error: IoError): HttpErrorCode | undefined {
  // The text of a broken stream is that of its failure, whose code comes first; see failureText in io-error.ts.
  const [code, ...message] = error.toDebugString().split(": ");
  if (!isErrorCode(code)) return undefined;
  if (code === "COMMUNICATION_FAILURE") return { tag: "connection-terminated" };
  return httpErrorOf(new Failure(code, message.join(": ")));
}

/** The error of a result whose error carries nothing. */
export function refuse(): never {
  // jco takes whatever an import throws for the payload of the error, but for an `Error`, which ends the guest.
  throw undefined;
}

/** What fits no other case. */
function internalError(text: string): HttpErrorCode {
  return { tag: "internal-error", val: text };
}

/** What came back is no HTTP, or a request that no HTTP can carry. */
export const protocolError: HttpErrorCode = { tag: "HTTP-protocol-error" };

/** A guest's own error-code for people: its case, and its text where it has one. */
export function httpErrorText(code: HttpErrorCode): string {
  return typeof code.val === "string" ? `${code.tag}: ${code.val}` : code.tag;
}

/** What broke a connection, by the reason that the provider gives: codes of Node, of its TLS and of undici. */
function connectionError(reason: unknown): HttpErrorCode {
  const code = typeof reason === "string" ? reason : "";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return { tag: "DNS-error", val: { rcode: code } };
  if (code === "ECONNREFUSED") return { tag: "connection-refused" };
  if (code === "ECONNRESET" || code === "EPIPE" || code === "UND_ERR_SOCKET")
    return { tag: "connection-terminated" };
  if (code.startsWith("HPE_") || code.startsWith("UND_ERR_RES_")) return protocolError;
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code)) return { tag: "TLS-certificate-error" };
  return { tag: "destination-unavailable" };
}

function invalidRequest(failure: Failure): HttpErrorCode {
  switch (failure.details?.["field"]) {
    case "url":
      return { tag: "HTTP-request-URI-invalid" };
    case "method":
      return { tag: "HTTP-request-method-invalid" };
    default:
      return internalError(failure.message);
  }
}
