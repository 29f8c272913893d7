import type { ComponentHost } from "./component-host.ts";
import type { Content } from "./http-content.ts";
import { refuse } from "./http-error-codes.ts";
import type { Fields, NewFields } from "./http-fields.ts";
import type { RequestMessage, ResponseMessage } from "./http-messages.ts";
import { type HttpMethod, type HttpScheme, methodOf, schemeOf } from "./http-targets.ts";
import { type InputStream, inputStreamOf } from "./input-stream.ts";
import { type Pollable, pollableOf } from "./poll.ts";

/** `wasi:http/types` incoming-body: its stream is taken once, and ends with it. */
export class IncomingBody {
  readonly #host: ComponentHost;
  readonly #content: Content;
  readonly #release: () => void;
  #isTaken = false;

  constructor(host: ComponentHost, content: Content) {
    this.#host = host;
    this.#content = content;
    this.#release = host.hold(() => content.end("the guest that read it has ended"));
  }

  stream(): InputStream {
    if (this.#isTaken) return refuse();
    this.#isTaken = true;
    return inputStreamOf(this.#host, this.#content.rest, this.#content.first);
  }

  /** Gives up what was not read. Trailers do not travel: there are never any to wait for. */
  static finish(body: IncomingBody): FutureTrailers {
    body[Symbol.dispose]();
    return new FutureTrailers(body.#host);
  }

  [Symbol.dispose](): void {
    this.#release();
    this.#content.end("the guest is done with it");
  }
}

/** `wasi:http/types` future-trailers: there at once, and none. */
export class FutureTrailers {
  readonly #host: ComponentHost;
  readonly #release: () => void;
  #isTaken = false;

  constructor(host: ComponentHost) {
    this.#host = host;
    this.#release = host.hold(() => {});
  }

  subscribe(): Pollable {
    return pollableOf(
      this.#host,
      () => true,
      () => Promise.resolve(),
    );
  }

  /** `ok(ok(none))` the first time, an error later. */
  get() {
    if (this.#isTaken) return { tag: "err", val: undefined };
    this.#isTaken = true;
    return { tag: "ok", val: { tag: "ok", val: undefined } };
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}

/** What requests and responses that come in have in common: headers, and a body that is consumed once. */
class IncomingMessage {
  readonly #host: ComponentHost;
  readonly #newFields: NewFields;
  readonly #headers: RequestMessage["headers"];
  readonly #release: () => void;
  #content: Content | undefined;

  constructor(
    host: ComponentHost,
    newFields: NewFields,
    headers: RequestMessage["headers"],
    content: Content,
  ) {
    this.#host = host;
    this.#newFields = newFields;
    this.#headers = headers;
    this.#content = content;
    this.#release = host.hold(() => this.#content?.end("the guest that got it has ended"));
  }

  /** Headers that cannot be changed. */
  headers(): Fields {
    return this.#newFields(this.#headers, false);
  }

  consume(): IncomingBody {
    if (this.#content === undefined) return refuse();
    const body = new IncomingBody(this.#host, this.#content);
    this.#content = undefined;
    return body;
  }

  [Symbol.dispose](): void {
    this.#release();
    this.#content?.end("the guest dropped it unread");
  }
}

/** `wasi:http/types` incoming-request. */
export class IncomingRequest extends IncomingMessage {
  readonly #message: RequestMessage;

  constructor(host: ComponentHost, newFields: NewFields, message: RequestMessage, content: Content) {
    super(host, newFields, message.headers, content);
    this.#message = message;
  }

  method(): HttpMethod {
    return methodOf(this.#message.method);
  }

  pathWithQuery(): string | undefined {
    return this.#message.path;
  }

  scheme(): HttpScheme | undefined {
    return this.#message.scheme === undefined ? undefined : schemeOf(this.#message.scheme);
  }

  authority(): string | undefined {
    return this.#message.authority;
  }
}

/** `wasi:http/types` incoming-response. */
export class IncomingResponse extends IncomingMessage {
  readonly #status: number;

  constructor(host: ComponentHost, newFields: NewFields, message: ResponseMessage, content: Content) {
    super(host, newFields, message.headers, content);
    this.#status = message.status;
  }

  status(): number {
    return this.#status;
  }
}
