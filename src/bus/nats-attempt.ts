import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import type { ConnectionOptions, NatsConnection } from "nats";
import { connect } from "nats";
import type { Clock } from "../clock.ts";
import { Failure } from "../protocol/errors.ts";
import { within } from "./deadline.ts";

/** Published by Node for each socket that it makes. */
const socketChannel = "net.client.socket";
const attempts = new AsyncLocalStorage<object>();

/**
 * Tries once to connect, for `timeoutMs` at most, and leaves nothing behind when that fails. The client itself
 * keeps a socket open that connects but is not greeted, and with it the whole process; there is no way to reach that
 * socket through the client, so it is caught when it is made.
 */
export async function attemptToConnect(
  options: ConnectionOptions,
  clock: Clock,
  timeoutMs: number,
): Promise<NatsConnection> {
  const own = {};
  const sockets = new Set<Socket>();
  let abandoned = false;

  const onSocket = (message: unknown): void => {
    if (attempts.getStore() !== own) return;
    const { socket } = message as { socket: Socket };
    sockets.add(socket);
    // Not at once: the socket is told to connect after this returns, and that would undo it.
    if (abandoned) process.nextTick(() => socket.destroy());
  };
  subscribe(socketChannel, onSocket);
  const attempt = attempts.run(own, () => connect(options));
  // Later sockets of this client are not the attempt's, nor are those that callbacks on this bus make.
  const finished = () => void unsubscribe(socketChannel, onSocket);
  attempt.then(finished, finished);

  try {
    return await within(clock, timeoutMs, attempt, () => {
      return new Failure("TIMEOUT", `no server answered within ${timeoutMs} ms`);
    });
  } catch (error) {
    abandoned = true;
    for (const socket of sockets) socket.destroy();
    attempt.then((client) => client.close()).catch(() => {});
    throw error;
  }
}
