import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { httpServerLimits } from "../../src/limits.ts";
import { type GuestRequest, type HttpLab, httpLab } from "./http-server-lab.ts";

describe("P18: an http-server and who means it harm", () => {
  let lab: HttpLab;
  let seen: GuestRequest[];
  beforeAll(async () => {
    lab = await httpLab({
      routes: [
        { path: "/", target: "root" },
        { path: "/private", target: "private" },
      ],
    });
    seen = [];
    await lab.respond("root", (request) => {
      seen.push(request);
      return { status: 200, body: request.path };
    });
    await lab.respond("private", () => ({ status: 200, body: "the private one" }));
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  /** Statuses of all answers on the connection, and the paths that a guest was asked for. */
  const outcome = async (text: string) => {
    seen.length = 0;
    const received = await lab.raw(text);
    return {
      statuses: [...received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status)),
      asked: seen.map(({ method, path }) => `${method} ${path}`),
    };
  };
  const end = "Connection: close\r\n\r\n";
  const refused = { statuses: [400], asked: [] };

  const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
  test.each([
    [
      "two lengths",
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello${hidden}`,
    ],
    [
      "the same length twice",
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello${hidden}`,
    ],
    [
      "a length and chunks",
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    ],
    [
      "chunks and a length",
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n${hidden}`,
    ],
    [
      "a coding that is not the last",
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${hidden}`,
    ],
    [
      "an unknown coding",
      `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
    ],
    ["a length of -1", `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n${hidden}`],
    ["a length of +5", `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello${hidden}`],
    ["a length in hexadecimal", `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello${hidden}`],
    ["a list of lengths", `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello${hidden}`],
    ["a space before the colon", `POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello${hidden}`],
    ["a folded line", `GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c: d\r\n${end}`],
    ["a bare line feed", `GET / HTTP/1.1\nHost: a\n\n${hidden}`],
    ["a bare carriage return", `GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n${end}`],
    ["a NUL in a value", `GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n${end}`],
    ["no host", `GET / HTTP/1.1\r\n${end}`],
    ["two hosts", `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n${end}`],
    ["a host with a user", `GET / HTTP/1.1\r\nHost: a@b\r\n${end}`],
    ["a host with a path", `GET / HTTP/1.1\r\nHost: a/b\r\n${end}`],
    ["a URL of another host", `GET http://b/ HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a URL with a user", `GET http://x@a/ HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a URL of another scheme", `GET ftp://a/ HTTP/1.1\r\nHost: a\r\n${end}`],
    ["an asterisk", `OPTIONS * HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a path without a slash", `GET private HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a host for a path", `GET //private/x HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a fragment", `GET /a#b HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a backslash", `GET /a\\..\\private HTTP/1.1\r\nHost: a\r\n${end}`],
    ["bytes beyond ASCII", `GET /\xff HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a NUL in the path", `GET /a%00b HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a tab in the path", `GET /a\tb HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a broken method", `G\x01T / HTTP/1.1\r\nHost: a\r\n${end}`],
    ["a broken version", `GET / HTTP/9.9\r\nHost: a\r\n${end}`],
    ["two requests in a path", `GET /a HTTP/1.1 HTTP/1.1\r\nHost: a\r\n${end}`],
  ])("%s is refused, and nothing behind it is taken for a request", async (_what, text) => {
    const { statuses, asked } = await outcome(text);
    // What comes after it on the same connection must never have been read: the server hangs up.
    expect({ statuses: statuses.slice(0, 1), asked }).toEqual(refused);
    expect(statuses.length).toBe(1);
  });

  test.each([
    "/..",
    "/../private",
    "/a/../private",
    "/./private",
    "/a/%2e%2e/private",
    "/a/.%2E/private",
    "/a%2f..%2fprivate",
    "/a/..%5cprivate",
    "/a/.",
  ])("the path %s, which leads elsewhere for somebody, is refused", async (path) => {
    expect(await outcome(`GET ${path} HTTP/1.1\r\nHost: a\r\n${end}`)).toEqual(refused);
  });

  test("names with dots, dots in a query, and a URL of the same host are none of these", async () => {
    const paths = ["/a/...", "/.well-known/x", "/a..b", "/a?x=/../y", "/a%20b", "/a//b"];
    for (const path of paths)
      expect(await outcome(`GET ${path} HTTP/1.1\r\nHost: a\r\n${end}`)).toEqual({
        statuses: [200],
        asked: [`GET ${path}`],
      });
    expect(await outcome(`GET http://A.example:80/x HTTP/1.1\r\nHost: a.example:80\r\n${end}`)).toEqual({
      statuses: [200],
      asked: ["GET /x"],
    });
  });

  test("a head that is too long is 431, a path 414, too many fields 431", async () => {
    const long = "a".repeat(httpServerLimits.pathCharactersMax + 1);
    const fields = "A: b\r\n".repeat(httpServerLimits.headersMax + 1);
    const big = "a".repeat(httpServerLimits.headBytesMax);
    expect((await outcome(`GET /${long} HTTP/1.1\r\nHost: a\r\n${end}`)).statuses).toEqual([414]);
    expect((await outcome(`GET / HTTP/1.1\r\nHost: a\r\n${fields}${end}`)).statuses).toEqual([431]);
    expect((await outcome(`GET / HTTP/1.1\r\nHost: a\r\nX: ${big}\r\n${end}`)).statuses).toEqual([431]);
  });

  test("CONNECT is no way through", async () => {
    expect(await outcome("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n")).toEqual({
      statuses: [],
      asked: [],
    });
  });

  test("pipelined requests are each answered, in their order", async () => {
    const text = ["/1", "/2", "/3"].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n`).join("\r\n");
    expect(await outcome(`${text}${end}`)).toEqual({
      statuses: [200, 200, 200],
      asked: ["GET /1", "GET /2", "GET /3"],
    });
  });

  test("a client that waits for 100-continue is told so only where somebody will read; else the connection ends", async () => {
    const head = (path: string, length: number) =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n`;
    const received = await lab.raw([`${head("/x", 5)}${end}`, "hello"]);
    expect(received.match(/HTTP\/1\.1 \d{3}/g)).toEqual(["HTTP/1.1 100", "HTTP/1.1 200"]);
    const tooLong = await lab.raw(`${head("/x", 1e12)}\r\n`);
    expect(tooLong).toMatch(/^HTTP\/1\.1 413 [^]*connection: close/i);
  });

  test("whoever drips a head or a short body is cut off", async () => {
    const limits = { headersTimeoutMs: 150, connectionLookMs: 20, shortBodyMs: 150, idleMs: 400 };
    const slow = await lab.open({ routes: [{ path: "/", target: "root" }], limits });
    seen.length = 0;
    const { port } = slow.address;
    const short = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell";
    const answers = await Promise.all(
      ["GET / HTTP/1.1\r\nHost: a\r\n", short, ""].map((text) => lab.raw(text, undefined, port)),
    );
    expect(answers.map((answer) => answer.slice(0, 12))).toEqual([
      "HTTP/1.1 408",
      "HTTP/1.1 408",
      "HTTP/1.1 408",
    ]);
    expect(seen).toEqual([]);
  });

  test("whatever bytes are sent, no guest is asked for what was not a request, and the server lives", async () => {
    const piece = fc.constantFrom(
      "GET / HTTP/1.1\r\n",
      "POST /p HTTP/1.1\r\n",
      "Host: a\r\n",
      "Content-Length: 3\r\n",
      "\r\n",
      "\n",
      "\r",
      "abc",
      "0\r\n\r\n",
      "Transfer-Encoding: chunked\r\n",
      " ",
      "\0",
      ":",
      "GET //x HTTP/1.1\r\n",
      "GET /../private HTTP/1.1\r\n",
      "Connection: close\r\n",
    );
    const bytes = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((all) => all.join("")),
      fc.string({ unit: "binary-ascii" }),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (text) => {
        seen.length = 0;
        // A second, broken request ends the connection in any case.
        await lab.raw(`${text}\r\n\r\n\x01\r\n\r\n`, (received) => received.includes("400"));
        for (const { path, method } of seen) {
          expect(path).toMatch(/^\/p?$/);
          expect(["GET", "POST"]).toContain(method);
        }
      }),
      { numRuns: 150 },
    );
    expect((await fetch(`${lab.url}/alive`)).status).toBe(200);
  });
});
