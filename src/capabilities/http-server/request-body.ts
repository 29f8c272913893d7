import type { IncomingMessage } from "node:http";
import type { ByteSource } from "../../byte-source.ts";
import type { Clock } from "../../clock.ts";
import { Failure } from "../../protocol/errors.ts";
import type { HttpServerLimits } from "./http-server-limits.ts";
import { Refusal } from "./refusal.ts";

/** The body of a request: its beginning, and what is pulled from its socket only when somebody reads it. */
export interface RequestBody {
  /**
   * Its first bytes, `bytesMax` at most. A body that is announced as no longer than that is waited for; of another one
   * there is what came within a second. Rejects with a `Refusal` or a `Failure`.
   */
  first(bytesMax: number): Promise<{ readonly bytes: Uint8Array; readonly isWhole: boolean }>;
  /** What follows. That its client left, or that it is too long, is a `Failure` at the next read. */
  readonly rest: ByteSource;
  /** Why it cannot be read any more, if so. */
  problem(): Failure | undefined;
  /** Nobody reads it any more: each read is refused from now on, and what still comes is thrown away. */
  end(reason: string): void;
}

/** Whether a request has a body at all. */
export function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && Number(length) > 0);
}

/** The body of a request. Throws PAYLOAD_TOO_LARGE where it is announced as longer than `bodyBytesMax`. */
export function requestBody(request: IncomingMessage, clock: Clock, limits: HttpServerLimits): RequestBody {
  const { bodyBytesMax } = limits;
  const announced = Number(request.headers["content-length"] ?? Number.NaN);
  if (announced > bodyBytesMax) throw tooLong(bodyBytesMax);
  let received = 0;
  let kept: Buffer | undefined;
  let broken: Failure | undefined;
  let wake: (() => void) | undefined;
  let isEnded = false;

  const woken = () => {
    wake?.();
    wake = undefined;
  };
  const end = (reason: string) => {
    if (isEnded) return;
    isEnded = true;
    broken ??= new Failure("COMMUNICATION_FAILURE", `this body cannot be read any more: ${reason}`);
    kept = undefined;
    woken();
    if (request.readableEnded || request.destroyed) return;
    // Otherwise what is left of it would block the next request of its connection. To take a listener away twice stops
    // the flow again.
    request.off("readable", woken);
    request.resume();
  };
  request.on("readable", woken);
  request.on("end", woken);
  // One that is cut off has an error as well; without a listener Node would throw it.
  request.on("error", woken);
  request.on("close", woken);

  /** What the socket has given, undefined at the end, "wait" where there is nothing yet. */
  const look = (): Buffer | undefined | "wait" => {
    if (broken !== undefined) throw broken;
    const chunk = request.read() as Buffer | null;
    if (chunk !== null) {
      received += chunk.length;
      if (received <= bodyBytesMax) return chunk;
      broken = tooLong(bodyBytesMax);
    } else if (request.readableEnded && request.complete) {
      return undefined;
    } else if (request.destroyed) {
      broken = new Failure("COMMUNICATION_FAILURE", "the client left before its request was whole");
    } else {
      return "wait";
    }
    throw broken;
  };
  const change = () => new Promise<void>((resolve) => (wake = resolve));

  return {
    async first(bytesMax) {
      const isShort = announced <= bytesMax;
      let isLate = false;
      const timer = clock.setTimeout(
        () => {
          isLate = true;
          woken();
        },
        isShort ? limits.shortBodyMs : limits.firstBodyMs,
      );
      const chunks: Buffer[] = [];
      let length = 0;
      let isWhole = false;
      try {
        while (length <= bytesMax && !isLate) {
          const chunk = look();
          if (chunk === "wait") await change();
          else if (chunk === undefined) {
            isWhole = true;
            break;
          } else {
            chunks.push(chunk);
            length += chunk.length;
          }
        }
      } finally {
        clock.clearTimeout(timer);
      }
      if (isShort && !isWhole) throw new Refusal(408, "TIMEOUT", "the body did not come in time");
      const all = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      if (length > bytesMax) kept = all.subarray(bytesMax);
      return { bytes: all.subarray(0, bytesMax), isWhole };
    },
    rest: {
      async read(bytesMax) {
        let chunk: Buffer | undefined | "wait" = broken === undefined ? kept : "wait";
        kept = undefined;
        for (chunk ??= look(); chunk === "wait"; chunk = look()) if (broken === undefined) await change();
        if (chunk === undefined) return undefined;
        if (chunk.length > bytesMax) kept = chunk.subarray(bytesMax);
        return chunk.subarray(0, bytesMax);
      },
      cancel: end,
    },
    problem: () => broken,
    end,
  };
}

function tooLong(bodyBytesMax: number): Failure {
  return new Failure("PAYLOAD_TOO_LARGE", `a request may have a body of ${bodyBytesMax} bytes at most`);
}
