import { createHash } from "node:crypto";
import type { Bus } from "../bus/bus.ts";
import { clientLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import type { AskControl, ControlAnswer } from "./control.ts";

/** Where a module went. */
export type ModuleStored = ControlAnswer<"ctl.module.put">;

/** Told after each piece; both numbers are bytes. */
export type UploadProgress = (sentBytes: number, sizeBytes: number) => void;

/** The content address of guest bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Whether a command may carry these bytes itself. */
export function fitsCommand(bus: Bus, bytes: Uint8Array): boolean {
  return bytes.length + clientLimits.envelopeBytes <= bus.maxPayloadBytes;
}

/**
 * Stores a module on the lattice: in one message when that fits the bus, else in pieces, a few of them on their way
 * at once. The first piece goes alone: it finds out whether the module is held already.
 */
export async function putModule(
  bus: Bus,
  ask: AskControl,
  bytes: Uint8Array<ArrayBuffer>,
  onProgress: UploadProgress = () => {},
): Promise<ModuleStored> {
  const sizeBytes = bytes.length;
  if (fitsCommand(bus, bytes)) {
    const stored = await ask("ctl.module.put", { bytes });
    onProgress(sizeBytes, sizeBytes);
    return stored;
  }
  const digest = digestOf(bytes);
  const pieceBytes = Math.min(clientLimits.pieceBytesMax, bus.maxPayloadBytes - clientLimits.envelopeBytes);
  if (pieceBytes < 1) throw busTooNarrow(bus.maxPayloadBytes);
  let next = 0;
  let sent = 0;
  let complete: ModuleStored | undefined;

  async function putNext(): Promise<void> {
    const offset = next;
    next += pieceBytes;
    const piece = bytes.subarray(offset, offset + pieceBytes);
    const stored = await ask("ctl.module.put", { digest, sizeBytes, offset, bytes: piece });
    if (stored.complete) complete = stored;
    sent = Math.min(sizeBytes, sent + piece.length);
    onProgress(sent, sizeBytes);
  }
  async function putUntilDone(): Promise<void> {
    while (next < sizeBytes && complete === undefined) await putNext();
  }

  // A node that comes or goes meanwhile may leave pieces on different nodes; once more brings them together.
  for (let round = 0; round < clientLimits.uploadRoundsMax && complete === undefined; round += 1) {
    next = 0;
    sent = 0;
    await putNext();
    await Promise.all(Array.from({ length: clientLimits.piecesInFlightMax }, putUntilDone));
  }
  if (complete === undefined) throw incomplete(digest);
  onProgress(sizeBytes, sizeBytes);
  return complete;
}

function busTooNarrow(maxPayloadBytes: number): Failure {
  return new Failure(
    "PAYLOAD_TOO_LARGE",
    `the bus carries ${maxPayloadBytes} bytes in a message; no piece fits`,
    {
      fix: "Raise `max_payload` in the configuration of nats-server; its default is 1 MiB.",
    },
  );
}

function incomplete(digest: string): Failure {
  return new Failure("NODE_UNAVAILABLE", `all of ${digest} was sent, but no node holds all of it`, {
    fix: "A node was lost during the upload; put the module again.",
    retry: "later",
  });
}
