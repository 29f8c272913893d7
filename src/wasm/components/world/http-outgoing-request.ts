import type { HttpContext } from "./http-context.ts";
import { refuse } from "./http-error-codes.ts";
import type { Fields } from "./http-fields.ts";
import { OutgoingMessage } from "./http-outgoing.ts";
import {
  type HttpMethod,
  type HttpScheme,
  isAuthority,
  isPathWithQuery,
  methodText,
  schemeText,
} from "./http-targets.ts";

/** `wasi:http/types` outgoing-request: GET, over https and of nobody, until it is told otherwise. */
export class OutgoingRequest extends OutgoingMessage {
  #method: HttpMethod = { tag: "get" };
  #scheme: HttpScheme | undefined;
  #authority: string | undefined;
  #path: string | undefined;

  constructor(context: HttpContext, headers: Fields) {
    super(context, headers, "HTTP-request-body-size");
  }

  method(): HttpMethod {
    return this.#method;
  }

  setMethod(method: HttpMethod): void {
    if (methodText(method) === undefined) return refuse();
    this.#method = method;
  }

  pathWithQuery(): string | undefined {
    return this.#path;
  }

  setPathWithQuery(path: string | undefined): void {
    if (path !== undefined && !isPathWithQuery(path)) return refuse();
    this.#path = path;
  }

  scheme(): HttpScheme | undefined {
    return this.#scheme;
  }

  setScheme(scheme: HttpScheme | undefined): void {
    if (scheme !== undefined && schemeText(scheme) === undefined) return refuse();
    this.#scheme = scheme;
  }

  authority(): string | undefined {
    return this.#authority;
  }

  setAuthority(authority: string | undefined): void {
    if (authority !== undefined && !isAuthority(authority)) return refuse();
    this.#authority = authority;
  }
}
