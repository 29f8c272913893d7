import { JetStreamApiError } from "@nats-io/jetstream";
import {
  ClosedConnectionError,
  DrainingConnectionError,
  InvalidArgumentError,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
} from "nats";
import { natsBlobLimits, natsKvLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import { type BlobLimits, exhausted } from "./failures.ts";

/** Codes of the server's list, `server/errors.json` of nats-server. */
const wrongLastSequence = new Set([10071, 10164]);
const storeFailed = 10077;
const streamNotFound = 10059;
/** Of memory, storage, streams, consumers or in general; the account's or the server's. */
const serverExhausted = new Set([10002, 10023, 10026, 10027, 10028, 10047]);

/** Whether another write came first: the object is no longer the expected one. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && wrongLastSequence.has(error.code);
}

/** Whether there is no such store. A publish into one finds nobody who answers. */
export function isNoStore(error: unknown): boolean {
  if (error instanceof NoRespondersError) return true;
  if (isNotEnabled(error)) return true;
  if (error instanceof RequestError && error.cause !== undefined && error.cause !== error) {
    return isNoStore(error.cause);
  }
  return error instanceof JetStreamApiError && error.code === streamNotFound;
}

/** Whether the server refused it, so that it surely was not done. */
export function isRefusal(error: unknown): boolean {
  return error instanceof JetStreamApiError;
}

/** What the client or the server threw, as a `Failure`; bugs come back as they are. */
export function natsFailure(error: unknown, limits: BlobLimits): unknown {
  if (error instanceof Failure) return error;
  if (isNotEnabled(error) || error instanceof NoRespondersError) return notEnabled();
  if (error instanceof JetStreamApiError) return refused(error, limits);
  if (error instanceof TimeoutError) return silent();
  if (error instanceof PermissionViolationError) return forbidden(error);
  if (error instanceof InvalidArgumentError) {
    return new Failure("PAYLOAD_TOO_LARGE", `blobstore: NATS does not carry this: ${echo(error.message)}`, {
      fix: "Raise `max_payload` in the configuration of nats-server to 1 MiB.",
    });
  }
  if (error instanceof ClosedConnectionError || error instanceof DrainingConnectionError) {
    return new Failure("PROVIDER_UNAVAILABLE", "blobstore: the connection to NATS is closed", {
      fix: "Start the blobstore provider again.",
      cause: error,
    });
  }
  if (error instanceof RequestError && error.cause !== undefined && error.cause !== error) {
    // The client wraps what the request died of.
    return natsFailure(error.cause, limits);
  }
  if (error instanceof TypeError || error instanceof RangeError || !(error instanceof Error)) return error;
  return new Failure("COMMUNICATION_FAILURE", `blobstore: NATS failed: ${echo(error.message)}`, {
    fix: "Check that nats-server is running; what was asked for may have been done.",
    cause: error,
  });
}

/** Throws INVALID_REQUEST where several servers would hold a container and do not keep conditional writes apart. */
export function assertReplicas(replicas: number, serverVersion: string): void {
  const versionMin = natsKvLimits.replicasServerVersionMin;
  const isOlder = serverVersion.localeCompare(versionMin, "en", { numeric: true }) < 0;
  if (replicas <= 1 || !isOlder) return;
  throw new Failure(
    "INVALID_REQUEST",
    `blobstore: nats-server ${serverVersion} loses updates of replicated containers`,
    {
      fix: `Update nats-server to ${versionMin} or later, or keep each container on one server (replicas 1).`,
      details: { field: "replicas", replicas, serverVersion, versionMin },
    },
  );
}

/** The object was changed by others again and again. */
export function contended(name: string): Failure {
  return new Failure("RESOURCE_EXHAUSTED", `blobstore: too many write ${echo(name)} at the same time`, {
    fix: "Try again, or write under several names.",
    details: { triesMax: natsBlobLimits.triesMax },
    retry: "later",
  });
}

/** The client has a class for it without a public name. */
function isNotEnabled(error: unknown): boolean {
  return error instanceof Error && error.name === "JetStreamNotEnabled";
}

function notEnabled(): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", "blobstore: JetStream does not answer on this NATS server", {
    fix: "Start nats-server with `-js` (or `jetstream {}` in its configuration), and allow it to the provider's account.",
  });
}

function refused(error: JetStreamApiError, limits: BlobLimits): Failure {
  if (error.code === storeFailed && error.message.includes("maximum bytes")) {
    return exhausted("bytesPerContainerMax", limits, "Delete objects, or use several containers.");
  }
  const why = `blobstore: JetStream refuses: ${echo(error.message)}`;
  const details = { errorCode: error.code };
  if (serverExhausted.has(error.code)) {
    return new Failure("RESOURCE_EXHAUSTED", why, {
      fix: "Give JetStream more room (`max_file_store`), or delete containers.",
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
  const timeoutMs = natsBlobLimits.requestTimeoutMs;
  return new Failure("COMMUNICATION_FAILURE", `blobstore: no answer from JetStream within ${timeoutMs} ms`, {
    fix: "Check that nats-server is running; what was asked for may have been done.",
    details: { timeoutMs },
  });
}

function forbidden({ operation, subject }: PermissionViolationError): Failure {
  return new Failure(
    "PROVIDER_UNAVAILABLE",
    `blobstore: the server refuses to let the provider ${operation} to ${subject}`,
    {
      fix: "Give the provider's user permission to publish to `$JS.API.>` and `$O.>`.",
      details: { operation, subject },
      retry: "never",
    },
  );
}
