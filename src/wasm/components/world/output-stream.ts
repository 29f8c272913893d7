import { componentLimits } from "../../../limits.ts";
import { GuestFault } from "../../guests/guest-faults.ts";
import type { ComponentHost } from "./component-host.ts";
import type { InputStream } from "./input-stream.ts";
import { closed, expectedFailure, failed } from "./io-error.ts";
import { Pollable, type Readiness, readinessOf } from "./poll.ts";

/** Where the bytes go that a guest writes. What its functions throw or reject with breaks the stream for good. */
export interface StreamSink {
  /** How many bytes a write may bring now; 0: none until `whenRoom`. */
  room(): number;
  /** Takes bytes that nobody else changes afterwards, at most `room()` of them. */
  write(bytes: Uint8Array): void;
  /** Settles when there is room, or never will be. */
  whenRoom(): Promise<void>;
  /** Settles when what was written has arrived as far as this sink can tell; nothing where that is always so. */
  flush(): Promise<void> | undefined;
  /** Nothing more is written through this stream; whether the whole is complete is told elsewhere. Called once. */
  close(): void;
}

/** `wasi:io/streams` output-stream. Made by {@link outputStreamOf}. */
export class OutputStream {
  readonly #host: ComponentHost;
  readonly #sink: StreamSink;
  readonly #release: () => void;
  readonly #readiness: Readiness;
  #flushing: Promise<void> | undefined;
  #broken: { readonly thrown: unknown; isTold: boolean } | undefined;
  #isClosed = false;

  constructor(host: ComponentHost, sink: StreamSink) {
    this.#host = host;
    this.#sink = sink;
    this.#release = host.hold(() => this.#close());
    this.#readiness = readinessOf(
      () => this.#isClosed || this.#broken !== undefined || this.#room() > 0,
      () => this.#settle(),
    );
  }

  /** How many bytes the next write may have. Throws a stream-error where none can ever follow. */
  checkWrite(): bigint {
    this.#tellEnd();
    const room = this.#room();
    this.#tellEnd();
    return BigInt(room);
  }

  /** Takes a copy. Throws `GuestFault` for more than `checkWrite` allowed, which the interface says traps. */
  write(contents: Uint8Array): void {
    if (BigInt(contents.length) > this.checkWrite()) {
      throw new GuestFault("the guest wrote more to a stream than check-write permitted");
    }
    // A copy: lists of a guest may be views of its memory.
    this.#put(contents.slice());
  }

  /** Writes all of it, in pieces as there is room, and flushes; the guest is suspended meanwhile. */
  async blockingWriteAndFlush(contents: Uint8Array): Promise<void> {
    let rest = contents.slice();
    while (rest.length > 0) {
      const room = await this.#roomToWrite();
      this.#put(rest.subarray(0, room));
      rest = rest.subarray(room);
    }
    await this.blockingFlush();
  }

  /** Begins to flush: nothing can be written until it is done. */
  flush(): void {
    this.#tellEnd();
    if (this.#flushing !== undefined) return;
    this.#flushing = this.#try(() => this.#sink.flush())?.then(
      () => void (this.#flushing = undefined),
      (error: unknown) => {
        this.#flushing = undefined;
        this.#break(error);
      },
    );
  }

  /** Flushes; the guest is suspended meanwhile. */
  async blockingFlush(): Promise<void> {
    this.flush();
    const flushing = this.#flushing;
    if (flushing !== undefined) await this.#host.suspend(() => flushing);
    this.#tellEnd();
  }

  /** Ready when `checkWrite` would give more than 0, or throw. */
  subscribe(): Pollable {
    return new Pollable(this.#host, this.#readiness);
  }

  /** Like {@link write}, of so many zeroes. */
  writeZeroes(len: bigint): void {
    if (len > this.checkWrite()) {
      throw new GuestFault("the guest wrote more to a stream than check-write permitted");
    }
    this.#put(new Uint8Array(Number(len)));
  }

  /** Like {@link blockingWriteAndFlush}; throws `GuestFault` for more zeroes than the interface allows. */
  async blockingWriteZeroesAndFlush(len: bigint): Promise<void> {
    if (len > BigInt(componentLimits.blockingZeroesMax)) {
      throw new GuestFault(`the guest wrote more than ${componentLimits.blockingZeroesMax} zeroes at once`);
    }
    await this.blockingWriteAndFlush(new Uint8Array(Number(len)));
  }

  /** Moves what is there, at most `len` bytes, and tells how many. */
  splice(source: InputStream, len: bigint): bigint {
    const room = this.checkWrite();
    const bytes = source.read(len < room ? len : room);
    this.write(bytes);
    return BigInt(bytes.length);
  }

  /** The same once there is room and something to read; the guest is suspended until then. */
  async blockingSplice(source: InputStream, len: bigint): Promise<bigint> {
    if (len === 0n) return this.splice(source, len);
    const room = BigInt(await this.#roomToWrite());
    const bytes = await source.blockingRead(len < room ? len : room);
    this.write(bytes);
    return BigInt(bytes.length);
  }

  [Symbol.dispose](): void {
    this.#release();
    this.#close();
  }

  #put(bytes: Uint8Array): void {
    this.#host.pay(bytes.length);
    if (bytes.length > 0) this.#try(() => this.#sink.write(bytes));
  }

  #room(): number {
    if (this.#flushing !== undefined) return 0;
    return this.#try(() => Math.max(0, this.#sink.room())) ?? 0;
  }

  async #roomToWrite(): Promise<number> {
    for (;;) {
      this.#tellEnd();
      const room = this.#room();
      if (room > 0) return room;
      this.#tellEnd();
      await this.#host.suspend(() => this.#settle());
    }
  }

  /** Resolves when something may have changed. Never rejects: the next operation tells what broke. */
  #settle(): Promise<void> {
    if (this.#isClosed || this.#broken !== undefined) return Promise.resolve();
    if (this.#flushing !== undefined) return this.#flushing;
    return this.#sink.whenRoom().catch((error: unknown) => this.#break(error));
  }

  #try<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      this.#break(error);
      return undefined;
    }
  }

  #break(thrown: unknown): void {
    this.#broken ??= { thrown, isTold: false };
  }

  #tellEnd(): void {
    if (this.#isClosed) throw closed;
    if (this.#broken === undefined) return;
    if (this.#broken.isTold) throw closed;
    this.#broken.isTold = true;
    throw failed(expectedFailure(this.#broken.thrown));
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sink.close();
  }
}

/**
 * A stream for the guest whose bytes go to that sink. Dropping the stream closes the sink, as does the end of the
 * guest's life. Throws `GuestFault` when the guest holds too much.
 */
export function outputStreamOf(host: ComponentHost, sink: StreamSink): OutputStream {
  return new OutputStream(host, sink);
}
