import type { ServerResponse } from "node:http";
import type { ByteSource } from "../../byte-source.ts";
import { httpServerLimits } from "../../limits.ts";
import { type Answer, ofLength } from "./answer.ts";
import { cutOff } from "./cut-off.ts";

/**
 * Writes an answer to its client. Resolves when all of it is handed over; rejects when the stream of its body breaks,
 * the connection being cut by then: nobody must take what came for the whole.
 */
export async function sendAnswer(
  response: ServerResponse,
  answer: Answer,
  source: ByteSource | undefined,
  extra: readonly string[],
): Promise<void> {
  const { status, headers, body, contentLength } = answer;
  for (const one of extra) headers.push(one);
  if (isBodiless(status, response.req.method)) {
    source?.cancel("an answer without a body");
    // RFC 9110 (8.6): the length that a GET would have had; never with 204, which cannot have one.
    if (status !== 204 && contentLength !== undefined) headers.push("content-length", String(contentLength));
    response.writeHead(status, headers);
    response.end();
    return;
  }
  if (source === undefined) {
    headers.push("content-length", String(body.length));
    response.writeHead(status, headers);
    // Node joins a text with the head, and writes once; bytes are written beside it, which takes longer.
    if (body.length > httpServerLimits.joinedBytesMax) response.end(body);
    else response.end(Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1"), "latin1");
    return;
  }
  const isLong = contentLength !== undefined && contentLength >= body.length;
  if (isLong) headers.push("content-length", String(contentLength));
  response.writeHead(status, headers);
  await pump(response, body, isLong ? ofLength(source, contentLength - body.length) : source);
}

/** RFC 9110, 6.4.1. */
function isBodiless(status: number, method: string | undefined): boolean {
  return method === "HEAD" || status === 204 || status === 304;
}

/** Reads as fast as the client does, and no faster. */
async function pump(response: ServerResponse, first: Uint8Array, source: ByteSource): Promise<void> {
  let wake: (() => void) | undefined;
  const onChange = () => wake?.();
  const onClose = () => {
    giveUp(source, "the client left");
    onChange();
  };
  response.on("drain", onChange);
  response.on("close", onClose);
  try {
    if (response.destroyed) return onClose();
    // The head must not wait for the first piece: a client may have to see it before it goes on.
    if (first.length > 0) response.write(first);
    else response.flushHeaders();
    for (;;) {
      if (response.writableNeedDrain && !response.destroyed)
        await new Promise<void>((resolve) => (wake = resolve));
      if (response.destroyed) return;
      const piece = await source.read(httpServerLimits.pieceBytes);
      if (response.destroyed) return;
      if (piece === undefined) break;
      response.write(piece);
    }
    response.end();
  } catch (error) {
    if (response.destroyed) return;
    giveUp(source, "it could not be passed on");
    cutOff(response);
    throw error;
  } finally {
    response.off("drain", onChange);
    response.off("close", onClose);
  }
}

/** For listeners, in which a throw would end the process: a bus that takes nothing now cannot be told. */
function giveUp(source: ByteSource, reason: string): void {
  try {
    source.cancel(reason);
  } catch {
    // Whoever serves it gives it up by itself, as nobody reads it.
  }
}
