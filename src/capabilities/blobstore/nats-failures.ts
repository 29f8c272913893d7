import { JetStreamApiError } from "@nats-io/jetstream";
import { NoRespondersError, RequestError } from "nats";
import { natsBlobLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import { isNotEnabled, jetStreamCodes, jetStreamFailure } from "../jetstream.ts";
import { type BlobLimits, exhausted } from "./failures.ts";

/** What a container is called where it cannot be kept. */
export const blobStore = { what: "blobstore", things: "containers" } as const;

/** Whether there is no such store. A publish into one finds nobody who answers. */
export function isNoStore(error: unknown): boolean {
  if (error instanceof NoRespondersError || isNotEnabled(error)) return true;
  if (error instanceof RequestError && error.cause !== undefined && error.cause !== error) {
    return isNoStore(error.cause);
  }
  return error instanceof JetStreamApiError && error.code === jetStreamCodes.streamNotFound;
}

/** Whether the server refused it, so that it surely was not done. */
export function isRefusal(error: unknown): boolean {
  return error instanceof JetStreamApiError;
}

/** What the client or the server threw, as a `Failure`; bugs come back as they are. */
export function natsFailure(error: unknown, limits: BlobLimits): unknown {
  return jetStreamFailure(error, {
    ...blobStore,
    subjects: "$O.>",
    requestTimeoutMs: natsBlobLimits.requestTimeoutMs,
    full: (message) =>
      message.includes("maximum bytes")
        ? exhausted("bytesPerContainerMax", limits, "Delete objects, or use several containers.")
        : undefined,
  });
}

/** The object was changed by others again and again. */
export function contended(name: string): Failure {
  return new Failure("RESOURCE_EXHAUSTED", `blobstore: too many write ${echo(name)} at the same time`, {
    fix: "Try again, or write under several names.",
    details: { triesMax: natsBlobLimits.triesMax },
    retry: "later",
  });
}
