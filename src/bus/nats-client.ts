import type { Socket } from "node:net";
import type { ConnectionOptions, NatsConnection, Payload, PublishOptions } from "nats";
import { AuthorizationError, InvalidArgumentError } from "nats";
import type { Clock } from "../clock.ts";
import { delay } from "../clock.ts";
import { busLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import { authenticatorFrom, type CredentialsUser, inboxPrefixIn } from "./credentials.ts";
import { attemptToConnect } from "./nats-attempt.ts";

/** Where and as whom to connect. */
export interface NatsOptions {
  /** `nats://host:port`, one or several of one cluster. */
  readonly servers: string | readonly string[];
  /** What the server shows for this connection. */
  readonly name: string;
  /** See `authenticatorFrom`. */
  readonly credsFile?: string;
  /** Which user of that file; `nats` unless said. */
  readonly user?: CredentialsUser;
  /** What the role may subscribe to for its answers; what the credentials say, else `_INBOX`. */
  readonly inboxPrefix?: string;
  /** Files for TLS; with any of them, and with `tls://`, a connection without TLS is refused. */
  readonly tls?: TlsFiles;
  /** Whether to go on trying until the deadline (default), or to fail with the first refused connection. */
  readonly waitOnFirstConnect?: boolean;
  readonly connectTimeoutMs: number;
}

/** PEM files: who is believed to be a server, and who this client is where servers ask. */
export interface TlsFiles {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** The parts of the client that have no public name; the version is pinned by the lockfile, and the tests use each. */
export interface NatsClient extends NatsConnection {
  readonly protocol: {
    readonly connected: boolean;
    readonly transport: { readonly socket?: Socket; discard(): void };
    readonly outbound: { size(): number };
    publish(subject: string, payload: Payload, options: PublishOptions): void;
    flushPending(): void;
  };
}

/**
 * Connects within `connectTimeoutMs`. Rejects with a `Failure`: COMMUNICATION_FAILURE when no server is reached or
 * the credentials are refused, INVALID_REQUEST for options that cannot work.
 */
export async function connectClient(options: NatsOptions, clock: Clock): Promise<NatsClient> {
  const clientOptions = clientOptionsFrom(options);
  const until = clock.now() + options.connectTimeoutMs;
  for (;;) {
    try {
      return (await attemptToConnect(clientOptions, clock, until - clock.now())) as NatsClient;
    } catch (error) {
      const remainingMs = until - clock.now();
      const hopeless = error instanceof AuthorizationError || error instanceof InvalidArgumentError;
      if (hopeless || options.waitOnFirstConnect === false || remainingMs <= busLimits.reconnectDelayMs) {
        throw connectFailed(options, error);
      }
      await delay(clock, busLimits.reconnectDelayMs);
    }
  }
}

/** Where answers to this connection go. */
export function inboxPrefixFor({ inboxPrefix, credsFile, user }: NatsOptions): string | undefined {
  return inboxPrefix ?? inboxPrefixIn(credsFile, user);
}

function clientOptionsFrom(options: NatsOptions): ConnectionOptions {
  const inboxPrefix = inboxPrefixFor(options);
  const servers = typeof options.servers === "string" ? [options.servers] : [...options.servers];
  // The client takes `tls://` for a wish, and goes on in the clear with whoever says that there is no TLS here.
  const tls = options.tls ?? (servers.some((server) => server.startsWith("tls://")) ? {} : undefined);
  return {
    servers,
    name: options.name,
    ...(options.credsFile === undefined
      ? {}
      : { authenticator: authenticatorFrom(options.credsFile, options.user) }),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    ...(tls === undefined ? {} : { tls }),
    timeout: Math.min(busLimits.dialTimeoutMs, options.connectTimeoutMs),
    // The client's own loop for the first connection cannot be ended; connectClient has one that can.
    waitOnFirstConnect: false,
    maxReconnectAttempts: -1,
    reconnectTimeWait: busLimits.reconnectDelayMs,
    reconnectJitter: busLimits.reconnectJitterMs,
    reconnectJitterTLS: busLimits.reconnectJitterMs,
    pingInterval: busLimits.pingIntervalMs,
    maxPingOut: busLimits.pingsUnansweredMax,
    // A server that is slow with two sign-ins would otherwise close the connection for good.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
  };
}

function connectFailed(options: NatsOptions, error: unknown): Failure {
  if (error instanceof Failure && error.code !== "TIMEOUT") return error;
  const servers = typeof options.servers === "string" ? options.servers : options.servers.join(", ");
  if (error instanceof InvalidArgumentError) {
    return new Failure("INVALID_REQUEST", `cannot connect to ${servers}: ${error.message}`, { cause: error });
  }
  if (error instanceof AuthorizationError) {
    return options.credsFile === undefined
      ? new Failure("COMMUNICATION_FAILURE", `the server at ${servers} lets in nobody without credentials`, {
          fix: "Say who you are: --creds <file> or WASMATRIX_CREDS. `wasmatrix auth add <role> <id>` makes such a file, where the lattice's are.",
          retry: "never",
          details: { servers, unauthorized: true },
          cause: error,
        })
      : new Failure(
          "COMMUNICATION_FAILURE",
          `the server at ${servers} refuses the credentials ${options.credsFile}`,
          {
            fix: "They are another server's, were revoked, or it does not know them yet: `wasmatrix auth check`, where the lattice's are.",
            retry: "never",
            details: { servers, unauthorized: true, credsFile: options.credsFile },
            cause: error,
          },
        );
  }
  const why = error instanceof Error ? error.message : String(error);
  return new Failure("COMMUNICATION_FAILURE", `no connection to ${servers}: ${why}`, {
    fix: `Is nats-server running at ${servers}? Start one with \`wasmatrix up\`.`,
    details: { servers, connectTimeoutMs: options.connectTimeoutMs },
    cause: error,
  });
}
