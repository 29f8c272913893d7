import type { ByteSource, ByteStreams } from "../byte-source.ts";
import { randomId } from "../chance.ts";
import type { Clock, Timer } from "../clock.ts";
import { delay } from "../clock.ts";
import { streamLimits } from "../limits.ts";
import { filterFor, parametersOf, subjectFor } from "../protocol/addresses.ts";
import { headers } from "../protocol/calls.ts";
import { Failure } from "../protocol/errors.ts";
import { isId } from "../protocol/ids.ts";
import type { Bus, BusMessage } from "./bus.ts";
import { failureInAnswer, respondFailure } from "./guest-answers.ts";

/** The streams that one party serves, and its way to those of others. */
export interface BusStreams extends ByteStreams {
  /** Cancels everything that is served. */
  close(reason: string): void;
}

/**
 * Bodies over the bus: whoever has one serves it under a reference that nobody can guess, and the reader asks for
 * piece after piece, so that the reader's pace is the writer's. `holder` is the node or provider that serves, which
 * the bus enforces; it stands in the subject.
 */
export function createStreams(world: {
  lattice: string;
  holder: string;
  bus: Bus;
  clock: Clock;
}): BusStreams {
  const { lattice, holder, bus, clock } = world;
  const served = new Map<string, (reason: string) => void>();
  return {
    serve(source) {
      if (served.size >= streamLimits.servedMax) {
        source.cancel("too many streams are served here");
        throw new Failure("RESOURCE_EXHAUSTED", `${streamLimits.servedMax} streams are served here already`, {
          retry: "later",
        });
      }
      const stream = randomId(20);
      served.set(
        stream,
        serveStream(bus, clock, filterFor("stream", { lattice, holder, stream }), source, () =>
          served.delete(stream),
        ),
      );
      return `${holder}.${stream}`;
    },
    open(ref) {
      const [from, stream, ...rest] = ref.split(".");
      if (!isId(from) || !isId(stream) || rest.length > 0) {
        throw new Failure("INVALID_REQUEST", "what should be the reference of a stream is none", {
          fix: "Pass on the reference that came with the message, as it is.",
        });
      }
      return readStream(bus, clock, { lattice, holder: from, stream });
    },
    close(reason) {
      for (const end of served.values()) end(reason);
    },
  };
}

const nothing = new Uint8Array(0);

/** Answers the reads of one stream, in their order; ends with it, or when nobody reads any more. */
function serveStream(
  bus: Bus,
  clock: Clock,
  filter: string,
  source: ByteSource,
  onEnd: () => void,
): (reason: string) => void {
  let idle: Timer;
  let pending: Promise<Uint8Array | undefined> | undefined;
  let isReading = false;
  let isOpen = true;

  const end = (reason: string | undefined) => {
    if (!isOpen) return;
    isOpen = false;
    clock.clearTimeout(idle);
    // Reads that are on their way already are refused, not lost to a timeout.
    void subscription.drain();
    if (reason !== undefined) source.cancel(reason);
    onEnd();
  };
  const awaitReader = () => {
    clock.clearTimeout(idle);
    idle = clock.setTimeout(() => end("nobody reads it any more"), streamLimits.idleMs);
  };

  const answerRead = async (message: BusMessage) => {
    const wanted = Number(Buffer.from(message.data).toString("latin1"));
    if (isReading || !Number.isInteger(wanted) || wanted < 1) {
      return respondFailure(
        message,
        new Failure("INVALID_REQUEST", "one read at a time, of at least 1 byte"),
        clock.now(),
      );
    }
    isReading = true;
    clock.clearTimeout(idle);
    try {
      // What a patient answer did not wait for is still under way, and is the next one's.
      pending ??= source.read(Math.min(wanted, streamLimits.pieceBytesMax));
      const piece = await soonEnough(clock, pending);
      if (piece === "late") return message.respond(nothing);
      pending = undefined;
      if (piece !== undefined) return message.respond(piece);
      message.respond(nothing, { [headers.streamEnd]: "1" });
      end(undefined);
    } catch (error) {
      respondFailure(message, error, clock.now());
      end("it broke");
    } finally {
      isReading = false;
      if (isOpen) awaitReader();
    }
  };

  const subscription = bus.subscribe(filter, (message) => {
    const { verb } = parametersOf("stream", message.subject);
    if (!isOpen) respondFailure(message, broken(undefined), clock.now());
    else if (verb === "cancel") end("its reader gave it up");
    else void answerRead(message).catch(() => undefined);
  });
  awaitReader();
  return end;
}

async function soonEnough<Value>(clock: Clock, value: Promise<Value>): Promise<Value | "late"> {
  const over = new AbortController();
  const late = delay(clock, streamLimits.patienceMs, over.signal).then(
    () => "late" as const,
    () => "late" as const,
  );
  try {
    return await Promise.race([value, late]);
  } finally {
    over.abort(new Error("in time"));
  }
}

/** Reads a stream piece by piece, one ahead of its reader. */
function readStream(
  bus: Bus,
  clock: Clock,
  address: { lattice: string; holder: string; stream: string },
): ByteSource {
  const readSubject = subjectFor("stream", { ...address, verb: "read" });
  let ahead: Promise<Uint8Array | undefined> | undefined;
  let rest: Uint8Array | undefined;
  let isFirst = true;
  let isOver = false;

  const ask = async (): Promise<BusMessage> => {
    const wanted = Math.min(streamLimits.pieceBytesMax, Math.floor(bus.maxPayloadBytes / 2));
    const payload = new Uint8Array(Buffer.from(String(wanted), "latin1"));
    const timeoutMs = streamLimits.patienceMs + streamLimits.graceMs;
    for (let tries = 1; ; tries += 1) {
      try {
        return await bus.request(readSubject, payload, { timeoutMs });
      } catch (error) {
        const isUnknown = error instanceof Failure && error.details?.["noResponders"] === true;
        if (!isUnknown || !isFirst || tries >= streamLimits.firstReadTries) throw broken(error);
        await delay(clock, streamLimits.firstReadDelayMs);
      }
    }
  };

  const next = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const answer = await ask();
      isFirst = false;
      const failure = failureInAnswer(answer);
      if (failure !== undefined) throw failure;
      if (answer.data.length > 0) return new Uint8Array(answer.data);
      if (answer.header(headers.streamEnd) !== undefined) {
        isOver = true;
        return undefined;
      }
      if (isOver) throw new Failure("COMMUNICATION_FAILURE", "the stream was given up here");
    }
  };

  const fetchAhead = () => {
    ahead = next();
    // Whoever reads next hears of it; until then it must not be an unhandled rejection.
    ahead.catch(() => undefined);
  };

  return {
    async read(bytesMax) {
      if (rest === undefined) {
        if (isOver) return undefined;
        if (ahead === undefined) fetchAhead();
        rest = await ahead;
        ahead = undefined;
        if (rest === undefined) return undefined;
        if (!isOver) fetchAhead();
      }
      const piece = rest.subarray(0, bytesMax);
      rest = piece.length < rest.length ? rest.subarray(piece.length) : undefined;
      return piece;
    },
    cancel() {
      if (isOver) return;
      isOver = true;
      rest = undefined;
      if (bus.connected) bus.publish(subjectFor("stream", { ...address, verb: "cancel" }), nothing);
    },
  };
}

function broken(error: unknown): Failure {
  return new Failure("COMMUNICATION_FAILURE", "the stream broke: whoever served it gave it up or is gone", {
    fix: "What came of it is not the whole; repeat what it belongs to, if that is safe.",
    cause: error,
  });
}
