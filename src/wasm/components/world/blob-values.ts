import type { ByteSource } from "../../../byte-source.ts";
import { componentHttpLimits, componentLimits } from "../../../limits.ts";
import { encode } from "../../../protocol/codec.ts";
import { Failure } from "../../../protocol/errors.ts";
import { type Answer, askProvider, bytesIn, type GrantedCapability, integerIn } from "./ask-provider.ts";
import type { ComponentHost } from "./component-host.ts";
import { type InputStream, inputStreamOf } from "./input-stream.ts";
import { expectedFailure, failureText } from "./io-error.ts";
import { type OutputStream, outputStreamOf } from "./output-stream.ts";
import { createPipe, type Pipe } from "./pipe.ts";

/** An object of a container, and the grant through which it is written. */
export interface BlobTarget {
  readonly grant: GrantedCapability;
  readonly container: string;
  readonly name: string;
}

/** Runs `work`; its failure is thrown as a text, which is what all errors of `wasi:blobstore` are. */
export async function inBlobWords<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    throw failureText(expectedFailure(thrown));
  }
}

// Not members of the classes: a guest could import them under any name that they have.
let setTarget: (value: OutgoingValue, target: BlobTarget) => void;
let finishValue: (value: OutgoingValue) => Promise<void>;

/**
 * `wasi:blobstore/types` outgoing-value. What is written is held until it is finished and then sent as one message;
 * more than a message takes begins to travel as a stream, and its writer waits for its reader.
 */
export class OutgoingValue {
  readonly #host: ComponentHost;
  readonly #pipe: Pipe = createPipe(componentHttpLimits.pipeBytes);
  readonly #release: () => void;
  #target: BlobTarget | undefined;
  #sending: Promise<unknown> | undefined;
  #hasStream = false;

  static {
    setTarget = (value, target) => value.#setTarget(target);
    finishValue = (value) => value.#finish();
  }

  constructor(host: ComponentHost) {
    this.#host = host;
    this.#release = host.hold(() => this.#abandon());
  }

  /** The stream to write to, once. */
  outgoingValueWriteBody(): OutputStream {
    // The interface says `result` without a type for the error.
    if (this.#hasStream) throw undefined;
    this.#hasStream = true;
    const { sink } = this.#pipe;
    return outputStreamOf(this.#host, {
      room: () => {
        const room = sink.room();
        if (room === 0) this.#send();
        return room;
      },
      write: (bytes) => sink.write(bytes),
      whenRoom: () => sink.whenRoom(),
      flush: () => undefined,
      // The value is complete when it is finished, and only then.
      close: () => {},
    });
  }

  [Symbol.dispose](): void {
    this.#release();
    this.#abandon();
  }

  #setTarget(target: BlobTarget): void {
    if (this.#target !== undefined) throw wrongOrder("this value is already written to an object");
    this.#target = target;
  }

  async #finish(): Promise<void> {
    const target = this.#target;
    if (target === undefined) throw wrongOrder("a value was finished that is written to no object");
    const { sink } = this.#pipe;
    sink.room();
    if (this.#sending === undefined) {
      const body = this.#pipe.drain();
      this.#release();
      sink.close();
      await askProvider(this.#host, target.grant, "put-object", { ...namesOf(target), body });
      return;
    }
    const sending = this.#sending;
    sink.close();
    this.#release();
    await this.#host.suspend(() => sending);
  }

  /** From here on what is written travels. */
  #send(): void {
    if (this.#sending !== undefined) return;
    const target = this.#target;
    if (target === undefined) {
      throw wrongOrder(
        `more than ${componentHttpLimits.pipeBytes} bytes were written before the object was named`,
      );
    }
    const { capabilityId, providerType } = target.grant;
    const stream = this.#host.streams.serve(this.#pipe.source);
    const request = encode({ ...namesOf(target), stream }, "msgpack");
    this.#sending = this.#host.beginCapability(capabilityId, providerType, "put-object", request);
    this.#sending.catch((error: unknown) => this.#pipe.sink.fail(asRefused(error)));
  }

  #abandon(): void {
    this.#pipe.sink.fail(
      new Failure("COMMUNICATION_FAILURE", "the guest gave the value up before it was finished"),
    );
  }
}

/** `wasi:blobstore/types` incoming-value: an object or a part of one, of which no more is held than a message brought. */
export class IncomingValue {
  readonly #host: ComponentHost;
  readonly #size: bigint;
  readonly #first: Uint8Array;
  readonly #release: () => void;
  #source: ByteSource | undefined;

  constructor(host: ComponentHost, answer: Answer) {
    this.#host = host;
    this.#first = bytesIn(answer, "body") ?? new Uint8Array(0);
    this.#size = answer["size"] === undefined ? BigInt(this.#first.length) : integerIn(answer, "size");
    this.#release = host.hold(() => this.#giveUp("the guest that held it has ended"));
    const ref = answer["stream"];
    if (typeof ref === "string") this.#source = host.streams.open(ref);
  }

  /** All of it; more than `componentLimits.wholeBlobBytesMax` is refused. */
  static incomingValueConsumeSync(value: IncomingValue): Promise<Uint8Array> {
    return inBlobWords(async () => {
      const max = componentLimits.wholeBlobBytesMax;
      if (value.#size > BigInt(max)) {
        value[Symbol.dispose]();
        throw tooLarge(String(value.#size));
      }
      return wholeOf(value.#host, value.#take(), value.#first, max);
    });
  }

  /** The same as a stream. */
  static incomingValueConsumeAsync(value: IncomingValue): InputStream {
    return inputStreamOf(value.#host, value.#take(), value.#first);
  }

  /** In bytes. */
  size(): bigint {
    return this.#size;
  }

  [Symbol.dispose](): void {
    this.#release();
    this.#giveUp("the guest dropped it");
  }

  #take(): ByteSource | undefined {
    const source = this.#source;
    this.#source = undefined;
    this.#release();
    return source;
  }

  #giveUp(reason: string): void {
    this.#source?.cancel(reason);
    this.#source = undefined;
  }
}

/** Says which object a value becomes when it is finished. Throws INVALID_REQUEST for a second one. */
export function nameTarget(value: OutgoingValue, target: BlobTarget): void {
  setTarget(value, target);
}

/** `wasi:blobstore/types` for the guest of this host. */
export function blobTypes(host: ComponentHost) {
  class GuestOutgoingValue extends OutgoingValue {
    static newOutgoingValue(): OutgoingValue {
      return new GuestOutgoingValue(host);
    }
    /** Resolves when the provider has stored the object. */
    static finish(value: OutgoingValue): Promise<void> {
      return inBlobWords(() => finishValue(value));
    }
  }
  return { OutgoingValue: GuestOutgoingValue, IncomingValue };
}

async function wholeOf(
  host: ComponentHost,
  source: ByteSource | undefined,
  first: Uint8Array,
  bytesMax: number,
): Promise<Uint8Array> {
  host.pay(first.length);
  if (source === undefined) return first;
  const release = host.hold(() => source.cancel("the guest that read it has ended"));
  try {
    const pieces = [first];
    let size = first.length;
    await host.suspend(async () => {
      for (;;) {
        const piece = await source.read(componentLimits.streamPieceBytes);
        if (piece === undefined) return;
        size += piece.length;
        // What was told beforehand need not be true.
        if (size > bytesMax) {
          source.cancel("it is too large to be read at once");
          throw tooLarge(`${size} or more`);
        }
        pieces.push(piece);
      }
    });
    host.pay(size - first.length);
    return new Uint8Array(Buffer.concat(pieces, size));
  } finally {
    release();
  }
}

function namesOf({ container, name }: BlobTarget) {
  return { container, name };
}

/** What a provider refused is told to the writer too; anything else it learns from the end of its call. */
function asRefused(error: unknown): Failure {
  return error instanceof Failure
    ? error
    : new Failure("COMMUNICATION_FAILURE", "the value could not be sent");
}

function wrongOrder(what: string): Failure {
  return new Failure("INVALID_REQUEST", what, {
    fix: "Call write-data of a container first, then write the body, then finish the value; all of it once.",
  });
}

function tooLarge(bytes: string): Failure {
  return new Failure(
    "PAYLOAD_TOO_LARGE",
    `the value has ${bytes} bytes; ${componentLimits.wholeBlobBytesMax} can be read at once`,
    { fix: "Read it with incoming-value-consume-async, or in parts." },
  );
}
