import type { IncomingMessage } from "node:http";
import { httpServerLimits } from "../../limits.ts";
import { headers as busHeaders } from "../../protocol/calls.ts";
import { headerName } from "./header-names.ts";
import { badRequest, Refusal } from "./refusal.ts";

/** A header as it travels: bytes where the value is not ASCII. */
export type TravellingHeader = [name: string, value: string | Uint8Array];

/** What a guest is told of a request beside its body. */
export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  /** None in HTTP/1.0, where a client need not name one. */
  readonly authority?: string;
  /** With its query. */
  readonly path: string;
  readonly headers: TravellingHeader[];
}

/** The head, and what the server itself needs to know of it. */
export interface ReadHead {
  readonly head: RequestHead;
  /** In lower case, without a port. */
  readonly host: string;
  /** Without a query. */
  readonly barePath: string;
  /** Identifiers that are passed on with the request and with all that it causes. */
  readonly passedOn: Readonly<Record<string, string>> | undefined;
}

const authorityPattern = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]{1,253})(?::[0-9]{1,5})?$/;
const absoluteForm = /^https?:\/\/([^/?#]*)(.*)$/i;
const pathPattern = /^\/(?!\/)[!-"$-[\]-~]*$/;
/** A segment that is `.` or `..`, in whatever spelling: behind a prefix it would lead out of it. */
const dotSegment = /(?:^|\/|%2f|\\|%5c)(?:\.|%2e){1,2}(?:$|\/|%2f|\\|%5c)/i;
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for.
const notAscii = /[^\x00-\x7f]/;

/**
 * Reads what Node's parser has let through; nothing of the connection itself goes on. Throws a `Refusal`: 400 for
 * targets and hosts that two readers could understand differently, 414 and 431 for what is too long.
 */
export function readHead(request: IncomingMessage, trustProxy: boolean): ReadHead {
  const { rawHeaders } = request;
  if (rawHeaders.length / 2 > httpServerLimits.headersMax)
    throw new Refusal(431, "INVALID_REQUEST", `more than ${httpServerLimits.headersMax} header fields`);
  const passed: TravellingHeader[] = [];
  const forwarded = new Map<string, string>();
  let hostField: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const value = rawHeaders[index + 1] ?? "";
    const name = headerName(rawHeaders[index] ?? "");
    if (name.type === "passed") passed.push([name.name, notAscii.test(value) ? latin1(value) : value]);
    else if (name.type === "forwarded") addTo(forwarded, (rawHeaders[index] ?? "").toLowerCase(), value);
    else if (name.type === "host") {
      if (hostField !== undefined) throw badRequest("more than one Host");
      hostField = value;
    } else if (name.type === "invalid") throw badRequest("a header field has no legal name");
  }
  const { authority, path } = targetOf(request.url ?? "", hostField === "" ? undefined : hostField);
  const [, host = ""] = authorityPattern.exec(authority ?? "") ?? [];
  if (authority !== undefined && host === "") throw badRequest("the Host is none");
  const headers = withoutNamedByConnection(passed, request.headers.connection);
  const scheme = addForwarded(headers, request, authority, trustProxy ? forwarded : undefined);
  const query = path.indexOf("?");
  return {
    head: {
      method: request.method ?? "GET",
      scheme,
      path,
      headers,
      ...(authority === undefined ? {} : { authority }),
    },
    host: host.toLowerCase().replace(/\.$/, ""),
    barePath: query === -1 ? path : path.slice(0, query),
    passedOn: passedOnOf(request.headers),
  };
}

function targetOf(
  url: string,
  hostField: string | undefined,
): { authority: string | undefined; path: string } {
  if (url.length > httpServerLimits.pathCharactersMax)
    throw new Refusal(
      414,
      "INVALID_REQUEST",
      `the path has more than ${httpServerLimits.pathCharactersMax} characters`,
    );
  if (url.startsWith("/")) return { authority: hostField, path: checkedPath(url) };
  const [, authority, rest = ""] = absoluteForm.exec(url) ?? [];
  // RFC 9112 (3.2.2) lets the target win over the Host field; whoever stands before us may have gone by the other.
  if (authority === undefined || authority.toLowerCase() !== hostField?.toLowerCase())
    throw badRequest("the request target is neither a path nor a URL of this Host");
  return { authority, path: checkedPath(rest.startsWith("/") ? rest : `/${rest}`) };
}

function checkedPath(path: string): string {
  if (!pathPattern.test(path)) throw badRequest("the path begins with // or holds what a path cannot");
  if (!path.includes(".") && !path.includes("%")) return path;
  const query = path.indexOf("?");
  const bare = query === -1 ? path : path.slice(0, query);
  if (dotSegment.test(bare)) throw badRequest("the path has a segment . or ..");
  if (bare.includes("%00")) throw badRequest("the path has a NUL");
  return path;
}

/** `Connection: x-secret` makes that field one of the connection. */
function withoutNamedByConnection(
  headers: TravellingHeader[],
  connection: string | undefined,
): TravellingHeader[] {
  if (connection === undefined || /^(?:keep-alive|close)$/i.test(connection)) return headers;
  const named = new Set(connection.split(",").map((one) => one.trim().toLowerCase()));
  return headers.filter(([name]) => !named.has(name));
}

/** Says who asked, by which scheme and for which host; gives the scheme. A trusted proxy may have said so before. */
function addForwarded(
  headers: TravellingHeader[],
  { socket }: IncomingMessage,
  authority: string | undefined,
  trusted: ReadonlyMap<string, string> | undefined,
): string {
  const from = (socket.remoteAddress ?? "unknown").replace(/^::ffff:(?=\d+\.)/, "");
  const before = trusted?.get("x-forwarded-for");
  const said = trusted?.get("x-forwarded-proto")?.toLowerCase();
  const scheme = said === "https" ? "https" : "http";
  const host = trusted?.get("x-forwarded-host") ?? authority;
  headers.push(["x-forwarded-for", before === undefined ? from : `${before}, ${from}`]);
  headers.push(["x-forwarded-proto", scheme]);
  if (host !== undefined) headers.push(["x-forwarded-host", host]);
  return scheme;
}

function passedOnOf(headers: IncomingMessage["headers"]): Record<string, string> | undefined {
  const { traceparent } = headers;
  const correlationId = headers["x-request-id"] ?? headers["wasmatrix-correlation-id"];
  if (traceparent === undefined && correlationId === undefined) return undefined;
  return {
    ...(isIdentifier(traceparent) ? { [busHeaders.traceparent]: traceparent } : {}),
    ...(isIdentifier(correlationId) ? { [busHeaders.correlationId]: correlationId } : {}),
  };
}

function isIdentifier(value: unknown): value is string {
  return (
    typeof value === "string" &&
    value.length <= httpServerLimits.requestIdCharactersMax &&
    /^[!-~]+$/.test(value)
  );
}

function addTo(map: Map<string, string>, name: string, value: string): void {
  const before = map.get(name);
  map.set(name, before === undefined ? value : `${before}, ${value}`);
}

function latin1(value: string): Uint8Array {
  return new Uint8Array(Buffer.from(value, "latin1"));
}
