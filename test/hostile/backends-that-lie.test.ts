import { createServer as createHttpServer, type ServerResponse } from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import pino from "pino";
import { describe, expect, test } from "vitest";
import { createRedisKv } from "../../src/capabilities/kv/redis.ts";
import { systemClock } from "../../src/clock.ts";
import type { DirectoryChange } from "../../src/directory/directory.ts";
import { createEtcdDirectory } from "../../src/directory/etcd.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { capabilityScope } from "../support/capability-scope.ts";

const expectedCodes = [
  "COMMUNICATION_FAILURE",
  "PROVIDER_UNAVAILABLE",
  "TIMEOUT",
  "INVALID_REQUEST",
  "RESOURCE_EXHAUSTED",
];

/** A server that greets like Redis, and then answers everything with the lie. */
async function lyingRedis(lie: string | Uint8Array) {
  const sockets = new Set<Socket>();
  let honest = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      // Commands that open a connection come first; `PING` is the one that opening waits for.
      const text = chunk.toString("latin1");
      const greetings = text.match(/\r\n(?:HELLO|CLIENT|SELECT|AUTH|PING|INFO|TIME)\r\n/gi) ?? [];
      for (const greeting of greetings) {
        honest += 1;
        if (/HELLO/i.test(greeting)) socket.write("-ERR unknown command\r\n");
        else socket.write(/PING/i.test(greeting) ? "+PONG\r\n" : "+OK\r\n");
      }
      // Several commands come in one piece, and each gets its lie.
      const asked = text.match(/\r\n(?:HGET|HMGET|HEXISTS|EVALSHA|EVAL|ZRANGEBYLEX)\r\n/gi) ?? [];
      for (const _ of asked) socket.write(lie);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `redis://127.0.0.1:${port}`,
    get honest() {
      return honest;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

describe.concurrent("R5.4, R16.3: a Redis that lies gets its provider to say so, and no more", () => {
  test.each<[string, string | Uint8Array]>([
    ["a number where a text stands", ":42\r\n"],
    ["a text where a list stands", "+OK\r\n"],
    ["a list of lists", "*2\r\n*1\r\n:1\r\n*0\r\n"],
    ["a list that announces a billion", "*1000000000\r\n"],
    ["a text that announces 2 GB", "$2000000000\r\nabc\r\n"],
    ["a length of -7", "$-7\r\n"],
    ["a length that is none", "$abc\r\n"],
    ["an error with a line of its own", "-ERR \u001b[2J\u202e oops\r\n"],
    ["lists nested 20,000 deep", "*1\r\n".repeat(20_000)],
    ["noise", Uint8Array.from({ length: 400 }, (_, index) => (index * 7_919) & 0xff)],
    ["nothing", ""],
  ])("%s", { timeout: 20_000 }, async (_, lie) => {
    await using redis = await lyingRedis(lie);
    const kv = await createRedisKv({ url: redis.url, clock: systemClock });
    const scope = capabilityScope({ permissions: ["kv:read", "kv:write"] });
    const ask = (operation: string, request: object) =>
      kv.call(scope, operation, encode(request, "msgpack")).then(
        (bytes) => decode(bytes).value,
        (error: unknown) => error,
      );
    const answers = await Promise.all([
      ask("get", { key: "a" }),
      ask("get-many", { keys: ["a", "b"] }),
      ask("list", { prefix: "" }),
      ask("set", { key: "a", value: new Uint8Array(3) }),
      ask("increment", { key: "a", by: 1 }),
    ]);
    for (const answer of answers) {
      if (!(answer instanceof Error)) continue;
      expect(answer).toBeInstanceOf(Failure);
      expect(expectedCodes).toContain((answer as Failure).code);
      expect(answer.message).toMatch(/^[\x20-\x7e–…]{1,400}$/);
    }
    await kv.close();
    expect(redis.honest).toBeGreaterThan(0);
  });
});

/** A server that answers each question of the gateway with the lie. */
async function lyingEtcd(lie: (path: string, response: ServerResponse) => void) {
  let asked = 0;
  const server = createHttpServer((request, response) => {
    asked += 1;
    request.resume();
    response.on("error", () => undefined);
    lie(request.url ?? "", response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    get asked() {
      return asked;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
const kv = (key: string, value: string) => ({
  key: base64(key),
  value: base64(value),
  lease: "7",
  mod_revision: "1",
});

describe("R7.6, R11.5: an etcd that lies is a warning, and no node comes or goes by it", () => {
  test.each<[string, (path: string, response: ServerResponse) => void]>([
    ["no JSON", (_, response) => response.end("<html>")],
    ["an array", (_, response) => response.end("[]\n")],
    ["null", (_, response) => response.end("null\n")],
    ["a lease that is none", (_, response) => response.end('{"ID":{"a":1},"TTL":"-1","result":7}\n')],
    [
      "keys of another prefix, and ids that are none",
      (_, response) =>
        response.end(
          `${JSON.stringify({
            header: { revision: "9" },
            ID: "7",
            TTL: "10",
            count: "3",
            kvs: [
              kv("/elsewhere/n1", "{}"),
              kv("wasmatrix/default/nodes/../x", "{}"),
              kv("\0", "x"),
              { key: 7 },
              null,
            ],
            result: { created: true, events: [{ type: "PUT", kv: kv("x", "{") }, null, 7] },
          })}\n`,
        ),
    ],
    [
      "a page that never ends",
      (_, response) =>
        response.end(
          `${JSON.stringify({ header: { revision: "9" }, ID: "7", TTL: "10", more: true, kvs: [] })}\n`,
        ),
    ],
    ["a line of 20 MB", (_, response) => response.end("x".repeat(20_000_000))],
    [
      "an error of 1 MB",
      (_, response) => {
        response.statusCode = 400;
        response.end(
          JSON.stringify({ error: "x".repeat(1_000_000), code: 5, message: "\u001b[2J".repeat(100_000) }),
        );
      },
    ],
    [
      "a redirect",
      (_, response) => {
        response.writeHead(302, { location: "http://169.254.169.254/" });
        response.end();
      },
    ],
    ["a broken connection", (_, response) => response.destroy()],
  ])("%s", { timeout: 20_000 }, async (_, lie) => {
    await using etcd = await lyingEtcd(lie);
    const lines: string[] = [];
    const log = pino({ level: "trace" }, { write: (line: string) => void lines.push(line) });
    const directory = createEtcdDirectory({
      lattice: "default",
      endpoints: [etcd.url],
      clock: systemClock,
      log,
    });
    const changes: DirectoryChange[] = [];
    directory.onChange((change) => changes.push(change));
    directory.putNode({ nodeId: "n1", epoch: 1, hostname: "h", labels: {}, productVersion: "0" });
    await expect.poll(() => etcd.asked, { timeout: 10_000 }).toBeGreaterThan(2);
    const askedBefore = etcd.asked;
    await directory.close();
    expect(changes).toEqual([]);
    // Pauses between tries grow: it is not hammered, and the log is not filled.
    expect(askedBefore).toBeLessThan(200);
    expect(lines.length).toBeLessThan(20);
    for (const line of lines) expect(line.length).toBeLessThan(2_000);
  });
});
