import { Readable } from "node:stream";
import type { ByteSource } from "../../byte-source.ts";
import type { Clock } from "../../clock.ts";
import { streamLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { type HttpClientLimits, exhausted, late, networkFailure } from "./failures.ts";

/** The body of a request as the client library pulls it: what is there already, then the source. */
export function requestBody(
  first: Uint8Array | undefined,
  source: ByteSource,
  limits: HttpClientLimits,
): Readable {
  let bytes = first?.length ?? 0;
  let ahead = first !== undefined && first.length > 0 ? first : undefined;
  const next = async (): Promise<Uint8Array | undefined> => {
    const piece = ahead ?? (await source.read(streamLimits.inlineBytesMax));
    if (ahead === undefined) bytes += piece?.length ?? 0;
    ahead = undefined;
    if (bytes > limits.bodyBytesMax) throw exhausted("bodyBytesMax", limits, "Send it in parts.");
    return piece;
  };
  const body = new Readable({
    highWaterMark: streamLimits.inlineBytesMax,
    read() {
      next().then(
        (piece) => this.push(piece ?? null),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      // Also after its end, where it does nothing: who serves it must not wait for a reader that is gone.
      source.cancel("the request is over");
      callback(error);
    },
  });
  // Its request is told; where that is over already, nobody is.
  return body.on("error", () => undefined);
}

/** The body of an answer, read at its reader's pace: what nobody pulls stays in the socket. */
export interface AnswerBody {
  /**
   * The whole body, or undefined once it is more than `bytesMax`, or where it is not complete after `waitMs`. What
   * was read then comes first out of `source`.
   */
  gather(bytesMax: number, waitMs?: number): Promise<Uint8Array | undefined>;
  readonly source: ByteSource;
}

/** What bounds an answer's body. */
export interface AnswerBodyWorld {
  readonly clock: Clock;
  readonly limits: HttpClientLimits;
  /** Gives the exchange up with that reason: the socket is closed. */
  readonly giveUp: (reason: Failure) => void;
  /** Called once when there is nothing more to read, for whatever reason. */
  readonly onEnd: () => void;
}

/** Reads a body of the client library; TIMEOUT where nothing comes for too long, RESOURCE_EXHAUSTED beyond all bounds. */
export function answerBody(body: Readable, world: AnswerBodyWorld): AnswerBody {
  const { clock, limits, giveUp, onEnd } = world;
  const pieces = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  const ahead: Uint8Array[] = [];
  let pending: Promise<Uint8Array | undefined> | undefined;
  let broken: Failure | undefined;
  let bytes = 0;
  let isOver = false;

  const end = () => {
    if (isOver) return;
    isOver = true;
    onEnd();
  };
  const breakOff = (failure: Failure) => {
    broken ??= failure;
    giveUp(failure);
    end();
  };

  async function pull(): Promise<Uint8Array | undefined> {
    if (broken !== undefined) throw broken;
    if (isOver) return undefined;
    const timer = clock.setTimeout(() => breakOff(late("body", limits.bodyIdleMs)), limits.bodyIdleMs);
    try {
      const { done, value } = await pieces.next();
      if (done === true) {
        end();
        return undefined;
      }
      bytes += value.length;
      if (bytes > limits.bodyBytesMax) {
        throw exhausted("bodyBytesMax", limits, "Ask for it in parts, with a range header.");
      }
      return value;
    } catch (error) {
      breakOff(networkFailure(error, limits));
      throw broken ?? error;
    } finally {
      clock.clearTimeout(timer);
    }
  }

  /** A read that was begun and not waited for is the next one's. */
  function next(): Promise<Uint8Array | undefined> {
    if (pending === undefined) {
      pending = pull();
      pending.catch(() => undefined);
    }
    return pending;
  }

  return {
    async gather(bytesMax, waitMs) {
      const patience = waitMs === undefined ? undefined : patienceOf(clock, waitMs);
      try {
        for (let gathered = 0; gathered <= bytesMax;) {
          const piece = await (patience === undefined ? next() : Promise.race([next(), patience.isOver]));
          if (piece === "late") return undefined;
          pending = undefined;
          if (piece === undefined) return Buffer.concat(ahead.splice(0));
          gathered += piece.length;
          ahead.push(piece);
        }
        return undefined;
      } finally {
        patience?.end();
      }
    },
    source: {
      async read(bytesMax) {
        let piece = ahead.shift();
        if (piece === undefined) {
          piece = await next();
          pending = undefined;
        } else if (broken !== undefined) throw broken;
        if (piece === undefined || piece.length <= bytesMax) return piece;
        ahead.unshift(piece.subarray(bytesMax));
        return piece.subarray(0, bytesMax);
      },
      cancel(reason) {
        if (!isOver) breakOff(new Failure("COMMUNICATION_FAILURE", `http: the body was given up: ${reason}`));
      },
    },
  };
}

function patienceOf(clock: Clock, waitMs: number): { isOver: Promise<"late">; end(): void } {
  const { promise, resolve } = Promise.withResolvers<"late">();
  const timer = clock.setTimeout(() => resolve("late"), waitMs);
  return { isOver: promise, end: () => clock.clearTimeout(timer) };
}
