import { componentHttpLimits } from "../../../limits.ts";
import { Failure, asFailure } from "../../../protocol/errors.ts";
import type { HttpContext } from "./http-context.ts";
import type { StreamSink } from "./output-stream.ts";
import { createPipe } from "./pipe.ts";

/** Who sends the body that a guest writes. */
export interface BodySender {
  /** It must travel before it is finished: called at most once. What is thrown breaks the body. */
  travel(): void;
  /** It is finished, or broke, before it had to travel: called at most once, and never after `travel`. */
  settled(): void;
}

/**
 * The body that a guest writes. It is held until it is finished, so that small ones travel inside their message, and
 * travels as a stream when it grows beyond what is held, when its guest takes its time, or when somebody waits.
 */
export interface Outflow {
  readonly sink: StreamSink;
  readonly state: "writing" | "whole" | "broken";
  /** Why it broke. */
  readonly failure: Failure | undefined;
  readonly writtenBytes: number;
  attach(sender: BodySender): void;
  /** It must travel now, if it is not finished. */
  hurry(): void;
  /** Offers it to whoever gets the reference. Throws RESOURCE_EXHAUSTED. */
  serve(): string;
  /** What is held; it does not travel otherwise. */
  drain(): Uint8Array;
  /** The guest wrote all of it. */
  finish(): void;
  /** Whoever reads it gets the failure. Does nothing once it is finished. */
  break(failure: Failure): void;
  /** Nobody reads it any more: the guest's next write fails. */
  cancel(reason: string): void;
}

/** An empty body, to be written. */
export function createOutflow(context: HttpContext): Outflow {
  const { host } = context;
  let state: Outflow["state"] = "writing";
  let failure: Failure | undefined;
  let writtenBytes = 0;
  let sender: BodySender | undefined;
  let isTravelling = false;
  let isServed = false;
  let stopTimer = () => {};
  const pipe = createPipe(componentHttpLimits.pipeBytes, () => {
    if (isServed) context.bodiesServed -= 1;
  });
  const release = host.hold(() =>
    end("broken", new Failure("GUEST_TRAPPED", "the guest ended before this body did")),
  );

  const end = (as: "whole" | "broken", why?: Failure) => {
    if (state !== "writing") return;
    state = as;
    failure = why;
    stopTimer();
    release();
    if (why === undefined) pipe.sink.close();
    else pipe.sink.fail(why);
    if (!isTravelling) sender?.settled();
  };

  const hurry = () => {
    if (state !== "writing" || isTravelling || sender === undefined) return;
    isTravelling = true;
    stopTimer();
    try {
      sender.travel();
    } catch (error) {
      end("broken", asFailure(error));
    }
  };

  const sink: StreamSink = {
    room: () => pipe.sink.room(),
    write(bytes) {
      pipe.sink.write(bytes);
      writtenBytes += bytes.length;
    },
    async whenRoom() {
      if (pipe.sink.room() > 0) return;
      if (sender === undefined) throw nobodyReads();
      hurry();
      await pipe.sink.whenRoom();
    },
    // What is held is on its way as far as a guest can tell: it goes when it is asked for.
    flush: () => Promise.resolve(),
    // A stream that ends is not yet a body that is whole: its guest says so by `finish`.
    close() {},
  };

  return {
    sink,
    get state() {
      return state;
    },
    get failure() {
      return failure;
    },
    get writtenBytes() {
      return writtenBytes;
    },
    attach(to) {
      sender = to;
      if (state === "writing") stopTimer = host.after(componentHttpLimits.inlineWaitMs, hurry);
      else sender.settled();
    },
    hurry,
    serve() {
      const max = componentHttpLimits.bodiesServedMax;
      if (context.bodiesServed >= max) {
        throw new Failure("RESOURCE_EXHAUSTED", `${max} bodies of this guest are being read already`, {
          retry: "later",
        });
      }
      const ref = host.streams.serve(pipe.source);
      isServed = true;
      context.bodiesServed += 1;
      return ref;
    },
    drain: () => pipe.drain(),
    finish: () => end("whole"),
    break: (why) => end("broken", why),
    cancel: (reason) => pipe.source.cancel(reason),
  };
}

function nobodyReads(): Failure {
  return new Failure(
    "INVALID_REQUEST",
    `nobody reads this body yet, and it holds no more than ${componentHttpLimits.pipeBytes} bytes`,
    { fix: "Send the request, or set the response, before its body is written." },
  );
}
