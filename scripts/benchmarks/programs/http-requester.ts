import { connect } from "node:net";
import { answerQuestions } from "../program.ts";

/** One round of GETs, each of so many sockets having one under way all the time. */
export interface HttpRound {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly durationMs: number;
}

/** What it came to. */
export interface HttpResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
}

// Bare sockets and no more of HTTP than is needed: a client's own work would share the cores with what is measured.

answerQuestions(async ({ port, path, connections, durationMs }: HttpRound): Promise<HttpResult> => {
  const latencies: number[] = [];
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: benchmark\r\nAccept: */*\r\n\r\n`;
  const began = performance.now();
  const until = began + durationMs;
  await Promise.all(Array.from({ length: connections }, () => keepAsking(port, request, until, latencies)));
  const seconds = (performance.now() - began) / 1_000;
  latencies.sort((one, other) => one - other);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  return {
    perSecond: latencies.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    requests: latencies.length,
  };
});

function keepAsking(port: number, request: string, until: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let received = "";
    let sent = 0;
    const ask = () => {
      sent = performance.now();
      socket.write(request);
    };
    socket.once("connect", ask);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("the server closed a connection")));
    socket.on("data", (data: Buffer) => {
      received += data.toString("latin1");
      const end = received.indexOf("\r\n\r\n");
      if (end === -1) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1]);
      if (!received.startsWith("HTTP/1.1 200") || !(length > 0))
        return void socket.destroy(new Error(received));
      if (received.length < end + 4 + length) return;
      received = "";
      const now = performance.now();
      latencies.push(now - sent);
      if (now < until) return ask();
      socket.removeAllListeners("close");
      socket.end(resolve);
    });
  });
}
