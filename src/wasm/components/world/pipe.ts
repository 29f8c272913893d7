import type { ByteSource } from "../../../byte-source.ts";
import { componentHttpLimits } from "../../../limits.ts";
import { Failure } from "../../../protocol/errors.ts";

/** A pipe that holds so many bytes and no more: who writes waits for who reads. */
export interface Pipe {
  /** The reader's end. Gathers small writes: a read gives as much as is there. */
  readonly source: ByteSource;
  /** The writer's end. */
  readonly sink: PipeSink;
  /** Takes everything that is held, which may be nothing; not while a read is under way. */
  drain(): Uint8Array;
}

/** The writer's end of a {@link Pipe}; as a sink of an output-stream it may be closed by `close` alone. */
export interface PipeSink {
  /** How many bytes may be written now. Throws the failure that broke the pipe. */
  room(): number;
  /** Takes bytes that nobody else changes afterwards; throws when there are more than `room` allowed. */
  write(bytes: Uint8Array): void;
  /** Resolves when there is room; rejects when there never will be. */
  whenRoom(): Promise<void>;
  /** The end: what is held is still read, then the reader learns that this was the whole. */
  close(): void;
  /** Not the end: the reader gets this failure instead of what is held. After the end it does nothing. */
  fail(failure: Failure): void;
}

interface Waiting<Value> {
  resolve(value: Value): void;
  reject(failure: Failure): void;
}

/** Makes a pipe; `onOver` is called once, when its reader has come to the end, was told of a failure or gave it up. */
export function createPipe(bytesMax: number, onOver: () => void = () => {}): Pipe {
  let pieces: Uint8Array[] = [];
  let held = 0;
  let isClosed = false;
  let broken: Failure | undefined;
  let isOver = false;
  let reader: (Waiting<Uint8Array | undefined> & { bytesMax: number }) | undefined;
  let writer: (Waiting<void> & { readonly promise: Promise<void> }) | undefined;

  const take = (size: number): Uint8Array => {
    const taken = takeFrom(pieces, Math.min(size, held));
    held -= taken.length;
    writer?.resolve();
    writer = undefined;
    return taken;
  };
  const over = () => {
    if (isOver) return;
    isOver = true;
    onOver();
  };
  const breakWith = (failure: Failure) => {
    broken = failure;
    pieces = [];
    held = 0;
    writer?.reject(failure);
    writer = undefined;
    if (reader === undefined) return;
    reader.reject(failure);
    reader = undefined;
    over();
  };

  const source: ByteSource = {
    async read(size) {
      if (broken !== undefined) {
        over();
        throw broken;
      }
      if (held > 0) return take(size);
      if (isClosed) {
        over();
        return undefined;
      }
      return new Promise((resolve, reject) => (reader = { resolve, reject, bytesMax: size }));
    },
    cancel(reason) {
      if (broken === undefined && !(isClosed && held === 0)) breakWith(givenUp(reason));
      over();
    },
  };

  const sink: PipeSink = {
    room() {
      if (broken !== undefined) throw broken;
      if (isClosed)
        throw new Failure("INVALID_REQUEST", "this body is finished: nothing more can be written");
      return bytesMax - held;
    },
    write(bytes) {
      if (bytes.length > sink.room()) throw new Error("a pipe was written to beyond its room");
      if (bytes.length === 0) return;
      // Joined now and then: single bytes, each in a piece of its own, would take a hundred times their size.
      if (pieces.length >= componentHttpLimits.pipePiecesMax) pieces = [takeFrom(pieces, held)];
      pieces.push(bytes);
      held += bytes.length;
      if (reader === undefined) return;
      const waiting = reader;
      reader = undefined;
      waiting.resolve(take(waiting.bytesMax));
    },
    async whenRoom() {
      if (sink.room() > 0) return;
      writer ??= Promise.withResolvers<void>();
      return writer.promise;
    },
    close() {
      if (isClosed || broken !== undefined) return;
      isClosed = true;
      reader?.resolve(undefined);
      if (reader !== undefined) over();
      reader = undefined;
    },
    fail(failure) {
      if (!isClosed && broken === undefined) breakWith(failure);
    },
  };

  return { source, sink, drain: () => take(held) };
}

/** Removes so many bytes from the front; they are a copy where they come from several pieces. */
function takeFrom(pieces: Uint8Array[], size: number): Uint8Array {
  const [first] = pieces;
  if (first !== undefined && first.length >= size) {
    if (first.length === size) pieces.shift();
    else pieces[0] = first.subarray(size);
    return first.subarray(0, size);
  }
  const taken = new Uint8Array(size);
  let filled = 0;
  let used = 0;
  for (const piece of pieces) {
    const part = piece.subarray(0, size - filled);
    taken.set(part, filled);
    filled += part.length;
    if (part.length < piece.length) {
      pieces[used] = piece.subarray(part.length);
      break;
    }
    used += 1;
  }
  pieces.splice(0, used);
  return taken;
}

function givenUp(reason: string): Failure {
  return new Failure("COMMUNICATION_FAILURE", `whoever read this body gave it up: ${reason}`);
}
