import { createServer, connect, type AddressInfo, type Socket } from "node:net";

/** A TCP proxy on the loopback address that can misbehave like a network. */
export interface TcpProxy extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** How many connections are open. */
  readonly connections: number;
  /** Loses the other side without closing anything, as a partition does; new connections hang as well. */
  freeze(): void;
  thaw(): void;
  /** Closes what is open; new connections are let through. */
  cut(): void;
  stop(): Promise<void>;
}

/** Starts a proxy to `targetPort` on 127.0.0.1; `scheme` is that of {@link TcpProxy.url}. */
export async function startTcpProxy(targetPort: number, scheme = "nats"): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let frozen = false;

  const server = createServer((near) => {
    const far = connect(targetPort, "127.0.0.1");
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      // Paused and not dropped: what was sent before a partition heals arrives afterwards, as with TCP.
      if (frozen) socket.pause();
      socket.on("data", (bytes) => {
        if (!other.write(bytes)) {
          socket.pause();
          other.once("drain", () => frozen || socket.resume());
        }
      });
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  function cut(): void {
    for (const socket of sockets) socket.destroy();
  }

  async function stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    cut();
    await closed;
  }

  return {
    url: `${scheme}://127.0.0.1:${port}`,
    port,
    get connections() {
      return sockets.size / 2;
    },
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    cut,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
