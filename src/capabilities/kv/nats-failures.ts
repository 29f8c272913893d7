import { JetStreamApiError } from "@nats-io/jetstream";
import { TimeoutError } from "nats";
import { natsKvLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import { isNotEnabled, jetStreamCodes, jetStreamFailure } from "../jetstream.ts";
import { type KvLimits, exhausted } from "./failures.ts";

/** What a bucket is called where it cannot be kept. */
export const kvStore = { what: "kv", things: "buckets" } as const;

/** Whether the bucket or the server is full. */
export function isFull(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  return error.code === jetStreamCodes.storeFailed || jetStreamCodes.serverExhausted.has(error.code);
}

/** Whether somebody else made the bucket, or is about to. */
export function isBeingMade(error: unknown): boolean {
  return error instanceof JetStreamApiError && jetStreamCodes.streamExists.has(error.code);
}

/** Whether a message expected to go to another stream: the one that is there took it, then. */
export function isOtherStream(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === jetStreamCodes.streamNotMatch;
}

/** Whether the server was silent for too long. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof TimeoutError;
}

/** Whether nobody answers for the bucket: somebody deleted it, or there is no JetStream at all. Nothing was done. */
export function isGone(error: unknown): boolean {
  if (isNotEnabled(error)) return true;
  return error instanceof JetStreamApiError && error.code === jetStreamCodes.streamNotFound;
}

/** What the client or the server threw, as a `Failure`; bugs come back as they are. */
export function natsFailure(error: unknown, limits: KvLimits): unknown {
  const spread = "Delete keys, or spread them over several buckets.";
  return jetStreamFailure(error, {
    ...kvStore,
    subjects: "$KV.>",
    requestTimeoutMs: natsKvLimits.requestTimeoutMs,
    full(message) {
      if (message.includes("maximum messages")) return exhausted("keysPerBucketMax", limits, spread);
      return message.includes("maximum bytes") ? exhausted("bytesPerBucketMax", limits, spread) : undefined;
    },
  });
}

/** The stream of a bucket is there and takes no messages: it is another one, or its cluster has no leader. */
export function neverReady(bucketName: string): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", `kv: the stream KV_${bucketName} takes no messages`, {
    fix: `Look at \`nats stream info KV_${bucketName}\`: it needs a leader and the subjects \`$KV.${bucketName}.>\`.`,
    details: { stream: `KV_${bucketName}` },
  });
}

/** The key was changed by others again and again. */
export function contended(key: string): Failure {
  return new Failure("RESOURCE_EXHAUSTED", `kv: too many write ${echo(key)} at the same time`, {
    fix: "Try again, or spread what is written over several keys.",
    details: { triesMax: natsKvLimits.triesMax },
    retry: "later",
  });
}
