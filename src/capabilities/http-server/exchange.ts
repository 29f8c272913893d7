import type { IncomingMessage, ServerResponse } from "node:http";
import type { ByteSource, ByteStreams } from "../../byte-source.ts";
import type { Bus } from "../../bus/bus.ts";
import { failureInAnswer } from "../../bus/guest-answers.ts";
import type { Clock } from "../../clock.ts";
import { streamLimits } from "../../limits.ts";
import { headers } from "../../protocol/calls.ts";
import { encode } from "../../protocol/codec.ts";
import { type Answer, decodeAnswer, readAnswer, streamIn } from "./answer.ts";
import type { HttpServerLimits } from "./http-server-limits.ts";
import { malformedAnswer, nobodyThere, Refusal } from "./refusal.ts";
import { hasBody, type RequestBody, requestBody } from "./request-body.ts";
import { type ReadHead, readHead } from "./request-head.ts";
import type { Routes } from "./routes.ts";
import { sendAnswer } from "./send-answer.ts";

/** What every exchange of a server needs. */
export interface ExchangeWorld {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly streams: ByteStreams;
  readonly routes: Routes;
  readonly trustProxy: boolean;
  readonly limits: HttpServerLimits;
  /** Headers of the server itself for an answer that begins now, names and values in turn. */
  readonly extraHeaders: () => readonly string[];
}

/**
 * Asks the guest that a request leads to, and passes its answer on. Rejects with a `Refusal` or a `Failure`; where the
 * answer had begun by then, its connection is cut already.
 */
export async function exchange(
  world: ExchangeWorld,
  request: IncomingMessage,
  response: ServerResponse,
  mustContinue: boolean,
): Promise<void> {
  const read = readHead(request, world.trustProxy);
  const subject = subjectOf(world.routes, read);
  if (!hasBody(request)) return passOn(world, response, await ask(world, subject, read, {}));
  const body = requestBody(request, world.clock, world.limits);
  if (mustContinue) response.writeContinue();
  let offered: Offered = {};
  try {
    offered = await offer(world, body);
    const answer = await ask(world, subject, read, offered);
    if (body.problem()?.code === "PAYLOAD_TOO_LARGE") {
      answer.source?.cancel("its request was refused");
      throw body.problem();
    }
    await passOn(world, response, answer);
  } finally {
    body.end("its request is answered");
    if (offered.stream !== undefined) world.streams.open(offered.stream).cancel("its request is answered");
  }
}

/** A body as it is told to the guest: its first bytes, and where the others are. */
interface Offered {
  readonly body?: Uint8Array;
  readonly stream?: string;
}

/** An answer, and the rest of its body, which must be read or cancelled. */
interface Answered {
  readonly answer: Answer;
  readonly source: ByteSource | undefined;
}

function subjectOf(routes: Routes, { host, barePath, head }: ReadHead): string {
  const match = routes.find(host, barePath, head.method);
  if (match === undefined) throw new Refusal(404, "INSTANCE_NOT_FOUND", "no route leads to this address");
  switch (match.type) {
    case "target":
      return match.subject;
    case "former":
      throw nobodyThere();
    case "method":
      throw new Refusal(405, "INVALID_REQUEST", `allowed here: ${match.allowed.join(", ")}`, [
        "allow",
        match.allowed.join(", "),
      ]);
  }
}

async function offer({ bus, streams }: ExchangeWorld, body: RequestBody): Promise<Offered> {
  // Headers and all must fit as well, whatever the server carries.
  const inlineBytesMax = Math.min(streamLimits.inlineBytesMax, Math.floor(bus.maxPayloadBytes / 2));
  const { bytes, isWhole } = await body.first(inlineBytesMax);
  if (isWhole) return { body: bytes };
  return { ...(bytes.length === 0 ? {} : { body: bytes }), stream: streams.serve(body.rest) };
}

async function ask(
  { bus, streams, limits: { answerTimeoutMs: timeoutMs } }: ExchangeWorld,
  subject: string,
  { head, passedOn }: ReadHead,
  offered: Offered,
): Promise<Answered> {
  const payload = encode({ ...head, ...offered }, "msgpack");
  await turnEnd();
  const how = { timeoutMs, headers: passedOn === undefined ? underGrant : { ...passedOn, ...underGrant } };
  let message = await bus.request(subject, payload, how);
  let failure = failureInAnswer(message);
  if (failure?.details?.["safeToRepeat"] === true) {
    // An instance that ended before it began with this one: the name may have others.
    message = await bus.request(subject, payload, how);
    failure = failureInAnswer(message);
  }
  if (failure !== undefined) throw failure;
  const value = decodeAnswer(message.data);
  const source = streamOf(streams, value);
  try {
    return { answer: readAnswer(value), source };
  } catch (error) {
    source?.cancel("what came with it is no answer");
    throw error;
  }
}

/** Whose cell answers notes that its grant is used. */
const underGrant = { [headers.uses]: "http-server:serve" };

let turn: Promise<void> | undefined;

/**
 * Requests that arrive on many sockets in one turn of the event loop leave together: a write to the bus for each was a
 * third of what a request cost here (measured), and its reader at the other end pays for each as well.
 */
function turnEnd(): Promise<void> {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined;
      resolve();
    });
  });
  return turn;
}

function streamOf(streams: ByteStreams, value: unknown): ByteSource | undefined {
  const stream = streamIn(value);
  if (stream === undefined) return undefined;
  try {
    return streams.open(stream);
  } catch {
    throw malformedAnswer("its stream is no reference");
  }
}

async function passOn(
  { extraHeaders }: ExchangeWorld,
  response: ServerResponse,
  { answer, source }: Answered,
): Promise<void> {
  if (response.destroyed) source?.cancel("the client left");
  else await sendAnswer(response, answer, source, extraHeaders());
}
