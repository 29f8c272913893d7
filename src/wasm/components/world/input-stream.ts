import type { ByteSource } from "../../../byte-source.ts";
import { componentLimits } from "../../../limits.ts";
import type { ComponentHost } from "./component-host.ts";
import { closed, expectedFailure, failed } from "./io-error.ts";
import { Pollable, type Readiness, readinessOf } from "./poll.ts";

const nothing = new Uint8Array(0);

/** Bytes that wait to be read, by one stream or by several that follow each other. */
export interface HeldBytes {
  rest: Uint8Array;
}

/**
 * `wasi:io/streams` input-stream. Reads one piece ahead, from the first time that the guest asks, so that reading
 * without blocking finds something. Made by {@link inputStreamOf}.
 */
export class InputStream {
  readonly #host: ComponentHost;
  readonly #release: () => void;
  readonly #readiness: Readiness;
  #source: ByteSource | undefined;
  #held: HeldBytes;
  #fetching: Promise<void> | undefined;
  #broken: unknown;

  constructor(host: ComponentHost, source: ByteSource | undefined, held: HeldBytes) {
    this.#host = host;
    this.#source = source;
    this.#held = held;
    this.#release = host.hold(() => this.#giveUp("the guest that read it has ended"));
    this.#readiness = readinessOf(
      () => this.#isReady(),
      () => this.#fetch(),
    );
  }

  /** What is there, at most `len` bytes, which may be none. Throws a stream-error at the end. */
  read(len: bigint): Uint8Array {
    this.#tellEnd();
    const { rest } = this.#held;
    const size = len < BigInt(rest.length) ? Number(len) : rest.length;
    const bytes = rest.subarray(0, size);
    this.#held.rest = rest.subarray(size);
    if (size === rest.length) void this.#fetch();
    this.#host.pay(size);
    return bytes;
  }

  /** The same with at least one byte, unless `len` is 0; the guest is suspended until there is one. */
  blockingRead(len: bigint): Uint8Array | Promise<Uint8Array> {
    if (this.#isReady() || len === 0n) return this.read(len);
    return this.#host.suspend(() => this.#fetch()).then(() => this.read(len));
  }

  /** Like {@link read}; only the number of bytes is told. */
  skip(len: bigint): bigint {
    return BigInt(this.read(len).length);
  }

  /** Like {@link blockingRead}; only the number of bytes is told. */
  blockingSkip(len: bigint): bigint | Promise<bigint> {
    const bytes = this.blockingRead(len);
    return bytes instanceof Promise ? bytes.then(({ length }) => BigInt(length)) : BigInt(bytes.length);
  }

  /** Ready when a read would give bytes or the end. */
  subscribe(): Pollable {
    return new Pollable(this.#host, this.#readiness);
  }

  [Symbol.dispose](): void {
    this.#release();
    this.#giveUp("its reader dropped it");
  }

  #isReady(): boolean {
    return this.#held.rest.length > 0 || this.#source === undefined;
  }

  #tellEnd(): void {
    if (this.#held.rest.length > 0 || this.#source !== undefined) return;
    const broken = this.#broken;
    if (broken === undefined) throw closed;
    this.#broken = undefined;
    throw failed(expectedFailure(broken));
  }

  /** Resolves when there is a piece or the end. Never rejects: the next read tells what broke. */
  #fetch(): Promise<void> {
    const source = this.#source;
    if (source === undefined || this.#held.rest.length > 0) return Promise.resolve();
    this.#fetching ??= source
      .read(componentLimits.streamPieceBytes)
      .then(
        (piece) => {
          if (piece === undefined) this.#source = undefined;
          else if (this.#source !== undefined) this.#held.rest = piece;
        },
        (error: unknown) => {
          this.#broken = error;
          this.#source = undefined;
        },
      )
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  #giveUp(reason: string): void {
    this.#source?.cancel(reason);
    this.#source = undefined;
    // Replaced and not emptied: another stream may read on in the same bytes.
    this.#held = { rest: nothing };
  }
}

/**
 * A stream for the guest out of bytes that are there already and of a source for the rest, either of which may be
 * missing. Dropping the stream cancels the source, as does the end of the guest's life.
 * Throws `GuestFault` when the guest holds too much.
 */
export function inputStreamOf(
  host: ComponentHost,
  source: ByteSource | undefined,
  first: Uint8Array = nothing,
): InputStream {
  return new InputStream(host, source, { rest: first });
}

/** A stream out of bytes that others read, too: dropping it leaves what it has not read to the next one. */
export function inputStreamWithin(host: ComponentHost, held: HeldBytes): InputStream {
  return new InputStream(host, undefined, held);
}
