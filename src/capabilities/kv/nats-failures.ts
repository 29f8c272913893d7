import { JetStreamApiError } from "@nats-io/jetstream";
import {
  ClosedConnectionError,
  DrainingConnectionError,
  InvalidArgumentError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
} from "nats";
import { natsKvLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import { type KvLimits, exhausted } from "./failures.ts";

/** Codes of the server's list, `server/errors.json` of nats-server. */
const wrongLastSequence = new Set([10071, 10163, 10164]);
const storeFailed = 10077;
const streamNotFound = 10059;
const streamNotMatch = 10060;
/** Name in use, subjects overlap. */
const streamExists = new Set([10058, 10065]);
/** Of memory, storage, streams, consumers or in general; the account's or the server's. */
const serverExhausted = new Set([10002, 10023, 10026, 10027, 10028, 10047]);

/** Whether another write came first: the key no longer has the expected revision. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && wrongLastSequence.has(error.code);
}

/** Whether the bucket or the server is full. */
export function isFull(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  return error.code === storeFailed || serverExhausted.has(error.code);
}

/** Whether somebody else made the bucket, or is about to. */
export function isBeingMade(error: unknown): boolean {
  return error instanceof JetStreamApiError && streamExists.has(error.code);
}

/** Whether a message expected to go to another stream: the one that is there took it, then. */
export function isOtherStream(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === streamNotMatch;
}

/** Whether the server was silent for too long. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof TimeoutError;
}

/** Whether nobody answers for the bucket: somebody deleted it, or there is no JetStream at all. Nothing was done. */
export function isGone(error: unknown): boolean {
  if (isNotEnabled(error)) return true;
  return error instanceof JetStreamApiError && error.code === streamNotFound;
}

/** What the client or the server threw, as a `Failure`; bugs come back as they are. */
export function natsFailure(error: unknown, limits: KvLimits): unknown {
  if (error instanceof Failure) return error;
  if (isNotEnabled(error)) return notEnabled();
  if (error instanceof JetStreamApiError) return refused(error, limits);
  if (error instanceof TimeoutError) return silent();
  if (error instanceof PermissionViolationError) return forbidden(error);
  if (error instanceof InvalidArgumentError) {
    return new Failure("PAYLOAD_TOO_LARGE", `kv: NATS does not carry this: ${echo(error.message)}`, {
      fix: "Raise `max_payload` in the configuration of nats-server to 1 MiB, or store smaller values.",
    });
  }
  if (error instanceof ClosedConnectionError || error instanceof DrainingConnectionError) {
    return new Failure("PROVIDER_UNAVAILABLE", "kv: the connection to NATS is closed", {
      fix: "Start the kv provider again.",
      cause: error,
    });
  }
  if (error instanceof RequestError) {
    // The client wraps what the request died of.
    return error.cause === undefined || error.cause === error
      ? lost(error)
      : natsFailure(error.cause, limits);
  }
  if (error instanceof TypeError || error instanceof RangeError || !(error instanceof Error)) return error;
  return lost(error);
}

/** The client has a class for it without a public name. */
function isNotEnabled(error: unknown): boolean {
  return error instanceof Error && error.name === "JetStreamNotEnabled";
}

function notEnabled(): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", "kv: JetStream does not answer on this NATS server", {
    fix: "Start nats-server with `-js` (or `jetstream {}` in its configuration), and allow it to the provider's account.",
  });
}

/** Throws INVALID_REQUEST where several servers would hold a bucket and do not keep its conditional writes apart. */
export function assertReplicas(replicas: number, serverVersion: string): void {
  const versionMin = natsKvLimits.replicasServerVersionMin;
  const isOlder = serverVersion.localeCompare(versionMin, "en", { numeric: true }) < 0;
  if (replicas <= 1 || !isOlder) return;
  throw new Failure(
    "INVALID_REQUEST",
    `kv: nats-server ${serverVersion} loses updates of replicated buckets`,
    {
      fix: `Update nats-server to ${versionMin} or later, or keep each bucket on one server (replicas 1).`,
      details: { field: "replicas", replicas, serverVersion, versionMin },
    },
  );
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

function refused(error: JetStreamApiError, limits: KvLimits): Failure {
  const spread = "Delete keys, or spread them over several buckets.";
  if (error.code === storeFailed && error.message.includes("maximum messages")) {
    return exhausted("keysPerBucketMax", limits, spread);
  }
  if (error.code === storeFailed && error.message.includes("maximum bytes")) {
    return exhausted("bytesPerBucketMax", limits, spread);
  }
  const why = `kv: JetStream refuses: ${echo(error.message)}`;
  const details = { errorCode: error.code };
  if (serverExhausted.has(error.code)) {
    return new Failure("RESOURCE_EXHAUSTED", why, {
      fix: "Give JetStream more room (`max_file_store`, `max_memory_store`), or delete buckets with `nats kv del`.",
      details,
      retry: "later",
      cause: error,
    });
  }
  return new Failure("PROVIDER_UNAVAILABLE", why, {
    fix: "Look at the log of nats-server, and at `nats stream report`.",
    details,
    cause: error,
  });
}

function silent(): Failure {
  const timeoutMs = natsKvLimits.requestTimeoutMs;
  return new Failure("COMMUNICATION_FAILURE", `kv: no answer from JetStream within ${timeoutMs} ms`, {
    fix: "Check that nats-server is running; what was asked for may have been done.",
    details: { timeoutMs },
  });
}

function lost(error: Error): Failure {
  return new Failure("COMMUNICATION_FAILURE", `kv: NATS failed: ${echo(error.message)}`, {
    fix: "Check that nats-server is running; what was asked for may have been done.",
    cause: error,
  });
}

function forbidden(error: PermissionViolationError): Failure {
  const { operation, subject } = error;
  return new Failure(
    "PROVIDER_UNAVAILABLE",
    `kv: the server refuses to let the provider ${operation} to ${subject}`,
    {
      fix: `Give the provider's user permission to publish to \`$JS.API.>\` and \`$KV.>\`.`,
      details: { operation, subject },
      retry: "never",
    },
  );
}
