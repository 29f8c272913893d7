import { componentHttpLimits } from "../../../limits.ts";
import { Failure } from "../../../protocol/errors.ts";
import type { HttpContext } from "./http-context.ts";
import { type HttpErrorCode, refuse } from "./http-error-codes.ts";
import { type FieldList, contentLengthOf } from "./http-field-list.ts";
import { Fields } from "./http-fields.ts";
import { isStatus } from "./http-messages.ts";
import { type Outflow, createOutflow } from "./http-outflow.ts";
import { type OutputStream, outputStreamOf } from "./output-stream.ts";

/** The part of a message that a guest has written when it hands it over. */
export interface OutgoingHead {
  readonly headers: FieldList;
  /** Undefined where the guest did not ask for a body: there is none. */
  readonly outflow: Outflow | undefined;
}

/** `wasi:http/types` outgoing-body. Dropped before it is finished, it breaks for whoever reads it. */
export class OutgoingBody {
  readonly #context: HttpContext;
  readonly #outflow: Outflow;
  readonly #tooLong: HttpErrorCode["tag"];
  readonly #expectedBytes: number | undefined;
  #isTaken = false;

  constructor(
    context: HttpContext,
    outflow: Outflow,
    { expectedBytes, tooLong }: { expectedBytes: number | undefined; tooLong: HttpErrorCode["tag"] },
  ) {
    this.#context = context;
    this.#outflow = outflow;
    this.#tooLong = tooLong;
    this.#expectedBytes = expectedBytes;
  }

  write(): OutputStream {
    if (this.#isTaken) return refuse();
    this.#isTaken = true;
    return outputStreamOf(this.#context.host, this.#outflow.sink);
  }

  /**
   * It is whole. Throws an error-code, and breaks it, when its message said another length. Trailers do not travel:
   * they are dropped.
   */
  static finish(body: OutgoingBody, trailers: Fields | undefined): void {
    if (trailers !== undefined) Fields.take(trailers);
    const { writtenBytes } = body.#outflow;
    const expected = body.#expectedBytes;
    if (expected === undefined || expected === writtenBytes) return body.#outflow.finish();
    body.#outflow.break(
      new Failure("GUEST_ERROR", `the guest wrote ${writtenBytes} bytes of a body of ${expected}`),
    );
    throw { tag: body.#tooLong, val: BigInt(writtenBytes) } satisfies HttpErrorCode;
  }

  [Symbol.dispose](): void {
    this.#outflow.break(new Failure("GUEST_ERROR", "the guest gave this body up before its end"));
  }
}

/** What requests and responses that go out have in common: headers, and a body that is asked for once. */
export class OutgoingMessage {
  readonly #context: HttpContext;
  readonly #headers: FieldList;
  readonly #release: () => void;
  readonly #tooLong: HttpErrorCode["tag"];
  #outflow: Outflow | undefined;

  constructor(context: HttpContext, headers: Fields, tooLong: HttpErrorCode["tag"]) {
    this.#context = context;
    this.#headers = Fields.take(headers);
    this.#tooLong = tooLong;
    this.#release = context.host.hold(() => {});
  }

  /** Headers that cannot be changed any more. */
  headers(): Fields {
    return this.#context.newFields(this.#headers, false);
  }

  body(): OutgoingBody {
    if (this.#outflow !== undefined) return refuse();
    this.#outflow = createOutflow(this.#context);
    const expectedBytes = this.mayBeEmpty() ? undefined : contentLengthOf(this.#headers);
    return new OutgoingBody(this.#context, this.#outflow, { expectedBytes, tooLong: this.#tooLong });
  }

  /** Whether its headers may tell the length of a body that it has not. */
  protected mayBeEmpty(): boolean {
    return false;
  }

  /** Takes it over from the guest, which has no way to this. */
  static headOf(message: OutgoingMessage): OutgoingHead {
    message.#release();
    return { headers: message.#headers, outflow: message.#outflow };
  }

  [Symbol.dispose](): void {
    this.#release();
    this.#outflow?.break(new Failure("GUEST_ERROR", "the guest dropped what this body belongs to"));
  }
}

/** `wasi:http/types` outgoing-response. */
export class OutgoingResponse extends OutgoingMessage {
  readonly #context: HttpContext;
  #status = 200;

  constructor(context: HttpContext, headers: Fields) {
    super(context, headers, "HTTP-response-body-size");
    this.#context = context;
  }

  protected override mayBeEmpty(): boolean {
    return this.#context.isHead;
  }

  statusCode(): number {
    return this.#status;
  }

  /** Refuses what is no final status of HTTP (RFC 9110, 15): 1xx are none, and no server sends on what is beyond 599. */
  setStatusCode(status: number): void {
    if (!isStatus(status) || status > 599) return refuse();
    this.#status = status;
  }
}

/** `wasi:http/types` request-options. Time to connect and between bytes are the provider's, whatever a guest sets. */
export class RequestOptions {
  readonly #release: () => void;
  #connect: bigint | undefined;
  #firstByte: bigint | undefined;
  #betweenBytes: bigint | undefined;

  constructor(context: HttpContext) {
    this.#release = context.host.hold(() => {});
  }

  connectTimeout(): bigint | undefined {
    return this.#connect;
  }

  setConnectTimeout(duration: bigint | undefined): void {
    this.#connect = duration;
  }

  firstByteTimeout(): bigint | undefined {
    return this.#firstByte;
  }

  setFirstByteTimeout(duration: bigint | undefined): void {
    this.#firstByte = duration;
  }

  betweenBytesTimeout(): bigint | undefined {
    return this.#betweenBytes;
  }

  setBetweenBytesTimeout(duration: bigint | undefined): void {
    this.#betweenBytes = duration;
  }

  /** Until the head of the answer: at least 1, and no more than a guest can wait at all. */
  static firstByteTimeoutMs(options: RequestOptions): number | undefined {
    options.#release();
    if (options.#firstByte === undefined) return undefined;
    const ms = Math.ceil(Number(options.#firstByte) / 1e6);
    return Math.min(Math.max(ms, 1), componentHttpLimits.firstByteTimeoutMsMax);
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}
