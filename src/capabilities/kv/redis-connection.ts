import { ErrorReply, type RedisArgument, RESP_TYPES, RedisClient, createClient } from "@redis/client";
import type { Clock } from "../../clock.ts";
import { redisKvLimits } from "../../limits.ts";
import type { Failure } from "../../protocol/errors.ts";
import { badUrl, redisFailure, silent, tooManyCommands } from "./redis-failures.ts";
import type { RedisScript } from "./redis-scripts.ts";

/** A connection to one server that is made when it is needed, and made anew after it was lost. */
export interface RedisConnection {
  /** Where it leads, without user and password. */
  readonly server: string;
  /**
   * The answer of one command, with buffers for bulk strings. Never waits for a connection to come back: rejects
   * with COMMUNICATION_FAILURE when there is none within `connectTimeoutMs`, or no answer within `commandTimeoutMs`.
   */
  send(command: readonly RedisArgument[]): Promise<unknown>;
  run(script: RedisScript, keys: readonly string[], values: readonly RedisArgument[]): Promise<unknown>;
  close(): void;
}

/** Nothing is connected yet. Throws INVALID_REQUEST for a URL that is not one of Redis, without repeating it. */
export function createRedisConnection(url: string, clock: Clock): RedisConnection {
  const server = serverOf(url);
  const line = createLine(url, server, clock);
  let onTheirWay = 0;

  async function exchange(command: readonly RedisArgument[]): Promise<unknown> {
    if (onTheirWay >= redisKvLimits.commandsMax) throw tooManyCommands();
    onTheirWay += 1;
    try {
      const used = await line.connected();
      return await within(clock, redisKvLimits.commandTimeoutMs, used.sendCommand(command, asBytes), () => {
        // It may be half open for long: what else waits on it is lost as well, and the next command connects anew.
        used.destroy();
        return silent(server, redisKvLimits.commandTimeoutMs);
      });
    } finally {
      onTheirWay -= 1;
    }
  }

  async function send(command: readonly RedisArgument[]): Promise<unknown> {
    try {
      return await exchange(command);
    } catch (error) {
      throw redisFailure(error, server);
    }
  }

  return {
    server,
    send,
    async run(script, keys, values) {
      const rest = [String(keys.length), ...keys, ...values];
      try {
        return await exchange(["EVALSHA", script.sha1, ...rest]);
      } catch (error) {
        // A server that has not seen the script, or forgot it, did nothing.
        if (!(error instanceof ErrorReply) || !error.message.startsWith("NOSCRIPT")) {
          throw redisFailure(error, server);
        }
      }
      return send(["EVAL", script.source, ...rest]);
    },
    close: () => line.close(),
  };
}

type Client = ReturnType<typeof clientOf>;

/** The client that is connected now, or is tried to connect; one at a time. */
function createLine(url: string, server: string, clock: Clock) {
  let client: Client | undefined;
  let connecting: Promise<Client> | undefined;
  let failed: { readonly at: number; readonly failure: unknown } | undefined;

  async function connect(): Promise<Client> {
    const fresh = clientOf(url);
    // Without a listener an error of the socket would end the process; every command that it hits is rejected anyway.
    fresh.on("error", () => {});
    const { connectTimeoutMs } = redisKvLimits;
    try {
      await within(clock, connectTimeoutMs, fresh.connect(), () => silent(server, connectTimeoutMs));
    } catch (error) {
      fresh.destroy();
      const failure = redisFailure(error, server);
      failed = { at: clock.now(), failure };
      throw failure;
    }
    client = fresh;
    return fresh;
  }

  return {
    connected(): Promise<Client> | Client {
      if (client?.isReady) return client;
      if (connecting !== undefined) return connecting;
      if (failed !== undefined && clock.now() - failed.at < redisKvLimits.reconnectDelayMs) {
        throw failed.failure;
      }
      client?.destroy();
      client = undefined;
      connecting = connect().finally(() => (connecting = undefined));
      return connecting;
    },
    close(): void {
      client?.destroy();
      client = undefined;
    },
  };
}

const asBytes = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

function clientOf(url: string) {
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: "disabled",
    // It would go on by itself, and calls would wait for it: whoever calls next connects, with a deadline.
    socket: { connectTimeout: redisKvLimits.connectTimeoutMs, reconnectStrategy: false },
  });
}

function serverOf(url: string): string {
  try {
    RedisClient.parseURL(url);
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}`;
  } catch {
    throw badUrl();
  }
}

/** The promise's outcome, or a rejection with `late()` when it takes longer than `ms`. */
function within<Value>(
  clock: Clock,
  ms: number,
  promise: Promise<Value>,
  late: () => Failure,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(() => reject(late()), ms);
    void promise.then(resolve, reject).finally(() => clock.clearTimeout(timer));
  });
}
