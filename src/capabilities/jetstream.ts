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
import { natsKvLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import { echo } from "../protocol/ids.ts";

/** A capability that keeps what it has in JetStream, as its failures tell of it. */
export interface JetStreamStore {
  /** `kv`, what its messages begin with. */
  readonly what: string;
  /** What the bus has to let it publish to beside `$JS.API.>`. */
  readonly subjects: string;
  /** How long it waits for one answer. */
  readonly requestTimeoutMs: number;
  /** What may be deleted to make room. */
  readonly things: string;
  /** The failure that a full stream stands for, by the server's words; undefined for others. */
  readonly full: (message: string) => Failure | undefined;
}

/** Codes of the server's list, `server/errors.json` of nats-server. */
export const jetStreamCodes = {
  wrongLastSequence: new Set([10071, 10163, 10164]),
  storeFailed: 10077,
  streamNotFound: 10059,
  streamNotMatch: 10060,
  /** Name in use, subjects overlap. */
  streamExists: new Set([10058, 10065]),
  /** Of memory, storage, streams, consumers or in general; the account's or the server's. */
  serverExhausted: new Set([10002, 10023, 10026, 10027, 10028, 10047]),
} as const;

/** Whether another write came first: what is there is no longer what was expected. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && jetStreamCodes.wrongLastSequence.has(error.code);
}

/** Whether there is no JetStream. The client has a class for it without a public name. */
export function isNotEnabled(error: unknown): boolean {
  return error instanceof Error && error.name === "JetStreamNotEnabled";
}

/** What the client or the server threw, as a `Failure`; bugs come back as they are. */
export function jetStreamFailure(error: unknown, store: JetStreamStore): unknown {
  const { what } = store;
  if (error instanceof Failure) return error;
  if (isNotEnabled(error) || error instanceof NoRespondersError) {
    return new Failure("PROVIDER_UNAVAILABLE", `${what}: JetStream does not answer on this NATS server`, {
      fix: "Start nats-server with `-js` (or `jetstream {}` in its configuration), and allow it to the provider's account.",
    });
  }
  if (error instanceof JetStreamApiError) return refused(error, store);
  if (error instanceof TimeoutError) return silent(store);
  if (error instanceof PermissionViolationError) return forbidden(error, store);
  if (error instanceof InvalidArgumentError) {
    return new Failure("PAYLOAD_TOO_LARGE", `${what}: NATS does not carry this: ${echo(error.message)}`, {
      fix: "Raise `max_payload` in the configuration of nats-server to 1 MiB, or store less at a time.",
    });
  }
  if (error instanceof ClosedConnectionError || error instanceof DrainingConnectionError) {
    return new Failure("PROVIDER_UNAVAILABLE", `${what}: the connection to NATS is closed`, {
      fix: `Start the ${what} provider again.`,
      cause: error,
    });
  }
  if (error instanceof RequestError && error.cause !== undefined && error.cause !== error) {
    // The client wraps what the request died of.
    return jetStreamFailure(error.cause, store);
  }
  if (error instanceof TypeError || error instanceof RangeError || !(error instanceof Error)) return error;
  return new Failure("COMMUNICATION_FAILURE", `${what}: NATS failed: ${echo(error.message)}`, {
    fix: "Check that nats-server is running; what was asked for may have been done.",
    cause: error,
  });
}

/** Throws INVALID_REQUEST where several servers would hold a store and do not keep its conditional writes apart. */
export function assertReplicas(
  { what, things }: Pick<JetStreamStore, "what" | "things">,
  replicas: number,
  serverVersion: string,
): void {
  const versionMin = natsKvLimits.replicasServerVersionMin;
  const isOlder = serverVersion.localeCompare(versionMin, "en", { numeric: true }) < 0;
  if (replicas <= 1 || !isOlder) return;
  throw new Failure(
    "INVALID_REQUEST",
    `${what}: nats-server ${serverVersion} loses updates of replicated ${things}`,
    {
      fix: `Update nats-server to ${versionMin} or later, or keep them on one server each (replicas 1).`,
      details: { field: "replicas", replicas, serverVersion, versionMin },
    },
  );
}

function refused(error: JetStreamApiError, { what, things, full }: JetStreamStore): Failure {
  const isFull = error.code === jetStreamCodes.storeFailed ? full(error.message) : undefined;
  if (isFull !== undefined) return isFull;
  const why = `${what}: JetStream refuses: ${echo(error.message)}`;
  const details = { errorCode: error.code };
  if (jetStreamCodes.serverExhausted.has(error.code)) {
    return new Failure("RESOURCE_EXHAUSTED", why, {
      fix: `Give JetStream more room (\`max_file_store\`, \`max_memory_store\`), or delete ${things}.`,
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

function silent({ what, requestTimeoutMs: timeoutMs }: JetStreamStore): Failure {
  return new Failure("COMMUNICATION_FAILURE", `${what}: no answer from JetStream within ${timeoutMs} ms`, {
    fix: "Check that nats-server is running; what was asked for may have been done.",
    details: { timeoutMs },
  });
}

function forbidden(
  { operation, subject }: PermissionViolationError,
  { what, subjects }: JetStreamStore,
): Failure {
  return new Failure(
    "PROVIDER_UNAVAILABLE",
    `${what}: the server refuses to let the provider ${operation} to ${subject}`,
    {
      fix: `Give the provider's user permission to publish to \`$JS.API.>\` and \`${subjects}\`.`,
      details: { operation, subject },
      retry: "never",
    },
  );
}
