import { StringDecoder } from "node:string_decoder";
import { guestTalkLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";

/** Where the bytes go that a guest writes. */
export interface Sink {
  /** How many of `wanted` bytes one write may bring now; fewer make it a short write. −1: it is full. */
  room(wanted: number): number;
  /** Takes bytes that nobody else changes afterwards, at most as many as `room` granted. */
  write(bytes: Uint8Array): void;
}

/** A sink whose bytes are logged line by line. */
export interface LineSink extends Sink {
  /** Logs the line that has no end yet. */
  flush(): void;
}

/** A sink that keeps what is written, up to the limit of a message. */
export interface AnswerSink extends Sink {
  /** All of it, and starts anew. Throws PAYLOAD_TOO_LARGE when a write did not fit: a cut answer would be a lie. */
  take(): Uint8Array;
}

/** The bytes that a guest reads. */
export interface Source {
  readonly remaining: number;
  /** The next bytes, at most `size`; the result is the host's own and must not be changed. */
  read(size: number): Uint8Array;
  /** Starts anew with these bytes. */
  refill(bytes: Uint8Array): void;
}

/** Logs each line, long ones in pieces and empty ones not at all. Decodes UTF-8 across writes. */
export function lineSink(log: (line: string) => void): LineSink {
  const decoder = new StringDecoder("utf8");
  let open = "";

  function logInPieces(line: string): void {
    const size = guestTalkLimits.logLineCharsMax;
    for (let start = 0; start < line.length; start += size) log(line.slice(start, start + size));
  }

  return {
    room: (wanted) => Math.min(wanted, guestTalkLimits.logWriteBytesMax),
    write(bytes) {
      const lines = (open + decoder.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))).split(
        "\n",
      );
      open = lines.pop() ?? "";
      for (const line of lines) logInPieces(line);
      if (open.length >= guestTalkLimits.logLineCharsMax) {
        logInPieces(open);
        open = "";
      }
    },
    flush() {
      if (open === "") return;
      logInPieces(open);
      open = "";
    },
  };
}

/** Keeps at most `guestTalkLimits.messageBytesMax` bytes between two calls of `take`. */
export function answerSink(): AnswerSink {
  let pieces: Uint8Array[] = [];
  let size = 0;
  let refused = 0;

  return {
    room(wanted) {
      if (size + wanted <= guestTalkLimits.messageBytesMax) return wanted;
      refused = size + wanted;
      return -1;
    },
    write(bytes) {
      pieces.push(bytes);
      size += bytes.length;
    },
    take() {
      const [only] = pieces;
      const answer =
        pieces.length === 1 && only !== undefined ? only : new Uint8Array(Buffer.concat(pieces, size));
      const tooLarge = refused;
      pieces = [];
      size = 0;
      refused = 0;
      if (tooLarge > 0) throw answerTooLarge(tooLarge);
      return answer;
    },
  };
}

/** Bytes to read until they are used up, and the end of the file from then on. */
export function byteSource(): Source {
  let bytes: Uint8Array = new Uint8Array(0);
  let offset = 0;
  return {
    get remaining() {
      return bytes.length - offset;
    },
    read(size) {
      const next = bytes.subarray(offset, offset + size);
      offset += next.length;
      return next;
    },
    refill(anew) {
      bytes = anew;
      offset = 0;
    },
  };
}

/** The refusal of an answer that no message could carry. */
export function answerTooLarge(bytes: number): Failure {
  return new Failure(
    "PAYLOAD_TOO_LARGE",
    `the guest's answer has ${bytes} bytes or more; ${guestTalkLimits.messageBytesMax} are allowed`,
    { fix: "Let the guest store large results behind a provider and answer with a key." },
  );
}
