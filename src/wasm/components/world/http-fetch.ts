import { Failure } from "../../../protocol/errors.ts";
import { type Content, contentOf } from "./http-content.ts";
import type { HttpContext } from "./http-context.ts";
import { type HttpErrorCode, httpErrorOf, protocolError } from "./http-error-codes.ts";
import { IncomingResponse } from "./http-incoming.ts";
import { type ResponseMessage, type TravellingBody, decodeResponse, encodeFetch } from "./http-messages.ts";
import type { Outflow } from "./http-outflow.ts";
import { OutgoingMessage, RequestOptions } from "./http-outgoing.ts";
import type { OutgoingRequest } from "./http-outgoing-request.ts";
import { methodText, urlOf } from "./http-targets.ts";
import { expectedFailure } from "./io-error.ts";
import { type Pollable, type Readiness, pollableFor, readinessOf } from "./poll.ts";

/** What came of a request. */
type Outcome =
  | { readonly tag: "ok"; readonly response: ResponseMessage; readonly content: Content }
  | { readonly tag: "err"; readonly code: HttpErrorCode }
  /** The call was given up, or a bug: the guest may not handle it. */
  | { readonly tag: "thrown"; readonly thrown: unknown };

/** `wasi:http/types` future-incoming-response. */
export class FutureIncomingResponse {
  readonly #context: HttpContext;
  readonly #readiness: Readiness;
  readonly #release: () => void;
  #outcome: Outcome | undefined;
  #isTaken = false;

  /** `hurry` is called when the guest begins to wait. */
  constructor(context: HttpContext, outcome: Promise<Outcome>, hurry: () => void) {
    this.#context = context;
    this.#release = context.host.hold(() => this.#giveUp());
    const settled = outcome.then((is) => {
      this.#outcome = is;
      if (this.#isTaken) this.#giveUp();
    });
    this.#readiness = readinessOf(
      () => this.#outcome !== undefined,
      () => {
        hurry();
        return settled;
      },
    );
  }

  subscribe(): Pollable {
    return pollableFor(this.#context.host, this.#readiness);
  }

  /** Undefined before it is there, and an error after it was taken. */
  get() {
    const outcome = this.#outcome;
    if (outcome === undefined) return undefined;
    if (this.#isTaken) return { tag: "err", val: undefined };
    this.#isTaken = true;
    if (outcome.tag === "thrown") throw outcome.thrown;
    if (outcome.tag === "err") return { tag: "ok", val: { tag: "err", val: outcome.code } };
    const { host, newFields } = this.#context;
    return {
      tag: "ok",
      val: { tag: "ok", val: new IncomingResponse(host, newFields, outcome.response, outcome.content) },
    };
  }

  [Symbol.dispose](): void {
    this.#release();
    if (!this.#isTaken) this.#giveUp();
  }

  #giveUp(): void {
    this.#isTaken = true;
    if (this.#outcome?.tag === "ok") this.#outcome.content.end("the guest did not wait for it");
  }
}

/** `wasi:http/outgoing-handler` for the guest of this context; its errors are error-codes, thrown as they are. */
export function outgoingHandler(context: HttpContext) {
  return {
    /**
     * Begins the request: at once where it has no body or a finished one, otherwise when that is finished or has to
     * travel. Throws where the request is none, or no grant of http is there at all; what that grant does not permit
     * is in the future.
     */
    handle(request: OutgoingRequest, options: RequestOptions | undefined): FutureIncomingResponse {
      const firstByteTimeoutMs =
        options === undefined ? undefined : RequestOptions.firstByteTimeoutMs(options);
      const { headers, outflow } = OutgoingMessage.headOf(request);
      try {
        const message = {
          method: methodText(request.method()) ?? "GET",
          url: urlOf(request.scheme(), request.authority(), request.pathWithQuery()),
          headers: headers.filter(({ key }) => !isOfSender.test(key)),
          firstByteTimeoutMs,
        };
        const capabilityId = grantOf(context);
        const send = (body: TravellingBody) =>
          context.host.beginCapability(capabilityId, "http", "request", encodeFetch({ ...message, ...body }));
        const hasNoBody = message.method === "GET" || message.method === "HEAD";
        return futureOf(context, send, outflow, hasNoBody);
      } catch (error) {
        outflow?.break(new Failure("GUEST_ERROR", "the request of this body was refused"));
        throw error;
      }
    },
  };
}

/**
 * What whoever sends a request says of it: a length that a guest claims would be a way to smuggle, and a guest that
 * passes a request on does not speak for the one that asked it.
 */
const isOfSender = /^(?:content-length|forwarded|x-forwarded-.*|x-real-ip)$/;

/** The only grant of http, or the one that is called so. Throws an error-code. */
function grantOf({ host }: HttpContext): string {
  try {
    return host.capabilityFor("http", "http");
  } catch (error) {
    throw httpErrorOf(expectedFailure(error));
  }
}

const none: TravellingBody = { body: undefined, stream: undefined };

/** Sends a request once, and tells what came of it. */
function futureOf(
  context: HttpContext,
  send: (body: TravellingBody) => Promise<Uint8Array>,
  outflow: Outflow | undefined,
  hasNoBody: boolean,
): FutureIncomingResponse {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const begin = (body: TravellingBody) => {
    send(body).then(
      (bytes) => resolve(outcomeOf(context, bytes)),
      (error: unknown) => {
        outflow?.cancel("its request failed");
        resolve(failedWith(error));
      },
    );
  };
  outflow?.attach({
    travel() {
      if (outflow.writtenBytes > 0 || !hasNoBody) {
        begin({ body: undefined, stream: outflow.serve() });
        return;
      }
      // Many guests ask for the body of a GET as for any other, and finish it once they have the answer.
      outflow.cancel("a request of this method has no body");
      begin(none);
    },
    settled() {
      if (outflow.state !== "whole") return resolve(failedWith(outflow.failure));
      begin(outflow.writtenBytes === 0 ? none : { body: outflow.drain(), stream: undefined });
    },
  });
  if (outflow === undefined) begin(none);
  return new FutureIncomingResponse(context, promise, () => outflow?.hurry());
}

function outcomeOf({ host }: HttpContext, bytes: Uint8Array): Outcome {
  try {
    const response = decodeResponse(bytes);
    return { tag: "ok", response, content: contentOf(host, response) };
  } catch (error) {
    return error instanceof Failure ? { tag: "err", code: protocolError } : { tag: "thrown", thrown: error };
  }
}

function failedWith(error: unknown): Outcome {
  return error instanceof Failure
    ? { tag: "err", code: httpErrorOf(error) }
    : { tag: "thrown", thrown: error };
}
