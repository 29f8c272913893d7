import type { Form } from "../../../protocol/codec.ts";
import { Failure } from "../../../protocol/errors.ts";
import { GuestFault } from "../../guests/guest-faults.ts";
import type { ComponentHost } from "./component-host.ts";
import { contentOf } from "./http-content.ts";
import type { HttpContext } from "./http-context.ts";
import { type HttpErrorCode, httpErrorText } from "./http-error-codes.ts";
import { contentLengthOf } from "./http-field-list.ts";
import { IncomingRequest } from "./http-incoming.ts";
import { decodeRequest, encodeResponse } from "./http-messages.ts";
import { type OutgoingHead, OutgoingMessage, type OutgoingResponse } from "./http-outgoing.ts";

/** The handler that a component exports, `wasi:http/incoming-handler` handle. */
export type HandleRequest = (request: IncomingRequest, outparam: ResponseOutparam) => Promise<void>;

/** What a guest answers with. */
type Answer =
  | { readonly tag: "ok"; readonly val: OutgoingResponse }
  | { readonly tag: "err"; readonly val: HttpErrorCode };

/** `wasi:http/types` response-outparam: set once, within the call that brought it. */
export class ResponseOutparam {
  readonly #set: (answer: Answer) => void;
  readonly #release: () => void;

  constructor(host: ComponentHost, set: (answer: Answer) => void) {
    this.#set = set;
    this.#release = host.hold(() => {});
  }

  /** Throws `GuestFault`, which ends the guest, when that call was answered or is over. */
  static set(outparam: ResponseOutparam, answer: Answer): void {
    outparam.#release();
    outparam.#set(answer);
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}

/**
 * Lets a guest handle one request message and gives its answer, in the same form. An answer whose body has to travel
 * before it is finished is sent by `host.answer` while the guest goes on; what this resolves to is then empty and not
 * sent. Rejects with INVALID_REQUEST for a message that is none, with GUEST_ERROR where the guest did not answer
 * in full, and with whatever `handle` rejects with.
 */
export async function serveRequest(
  context: HttpContext,
  payload: Uint8Array,
  handle: HandleRequest,
): Promise<Uint8Array> {
  const { request, form } = decodeRequest(payload);
  const { host, newFields } = context;
  context.isHead = request.method === "HEAD";
  const content = contentOf(host, request);
  const exchange = createExchange(context, form);
  try {
    await handle(
      new IncomingRequest(host, newFields, request, content),
      new ResponseOutparam(host, (answer) => exchange.set(answer)),
    );
    return exchange.answer();
  } finally {
    exchange.end();
    content.end("the request that it belongs to was answered");
  }
}

/** One request on its way to its answer. */
function createExchange(context: HttpContext, form: Form) {
  let answered:
    | { readonly tag: "ok"; readonly head: OutgoingHead & { status: number } }
    | { tag: "err"; val: HttpErrorCode }
    | undefined;
  let isOver = false;
  let isAnsweredEarly = false;

  const answerEarly = ({ headers, status, outflow }: OutgoingHead & { status: number }) => {
    const stream = outflow?.serve();
    context.host.answer(encodeResponse({ status, headers, body: outflow?.drain(), stream }, form));
    isAnsweredEarly = true;
  };

  return {
    set(answer: Answer) {
      if (isOver || answered !== undefined) {
        throw new GuestFault("the guest set the response of a call that has one, or is over");
      }
      if (answer.tag === "err") {
        answered = answer;
        return;
      }
      const head = { ...OutgoingMessage.headOf(answer.val), status: answer.val.statusCode() };
      answered = { tag: "ok", head };
      head.outflow?.attach({ travel: () => answerEarly(head), settled() {} });
    },

    /** The answer as far as it was not sent. Throws a `Failure` where there is none. */
    answer(): Uint8Array {
      if (answered === undefined) throw noAnswer("the guest did not answer");
      if (answered.tag === "err") {
        throw noAnswer(`the guest answered with an error: ${httpErrorText(answered.val)}`, answered.val.tag);
      }
      const { headers, status, outflow } = answered.head;
      if (isAnsweredEarly) return new Uint8Array(0);
      if (outflow === undefined && !context.isHead && status !== 304 && (contentLengthOf(headers) ?? 0) > 0) {
        throw noAnswer("the guest gave a content-length and no body");
      }
      if (outflow === undefined || outflow.state === "whole") {
        return encodeResponse({ status, headers, body: outflow?.drain(), stream: undefined }, form);
      }
      throw outflow.failure ?? noAnswer("the guest did not finish the body of its answer");
    },

    /** Whatever of the answer is not finished will never be. */
    end() {
      isOver = true;
      if (answered?.tag !== "ok" || answered.head.outflow?.state !== "writing") return;
      answered.head.outflow.break(
        new Failure("GUEST_ERROR", "the guest ended before the body of its answer did"),
      );
    },
  };
}

function noAnswer(message: string, httpError?: string): Failure {
  return new Failure("GUEST_ERROR", message, {
    fix: "A guest sets the response and finishes its body before its handler returns.",
    ...(httpError === undefined ? {} : { details: { httpError } }),
  });
}
