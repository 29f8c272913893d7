import { createServer as createTcpServer } from "node:net";
import { describe, expect, test } from "vitest";
import { Failure } from "../../src/protocol/errors.ts";
import {
  type CountingServer,
  bulk,
  httpLab,
  listening,
  mirror,
  readAll,
  serveHttp,
  sourceOf,
  textOf,
} from "./http-out-lab.ts";

describe("R5.4: bodies", () => {
  test.each(["/", "/length"])("up to 64 KiB a body is in the answer: %s", async (path) => {
    await using server = await bulk(65_536);
    await using lab = httpLab({ limits: { inlineWaitMs: 5_000 } });
    const { body, stream } = await lab.ask({ url: `${server.url}${path}` });
    expect([(body as Uint8Array).length, stream]).toEqual([65_536, undefined]);
  });

  test.each(["/", "/length"])("a longer one is a stream, whole and in order: %s", async (path) => {
    await using server = await bulk(300_001);
    await using lab = httpLab({ limits: { inlineWaitMs: 5_000 } });
    const { body, stream = "" } = await lab.ask({ url: `${server.url}${path}` });
    expect(body).toBeUndefined();
    const read = await readAll(lab.streams.open(stream), 1_000);
    expect(read.equals(Buffer.alloc(300_001, "x"))).toBe(true);
  });

  test("a body that takes its time is a stream whose first bytes are there", async () => {
    let more: (text: string) => void = () => undefined;
    await using server = await serveHttp((_, response) => {
      response.write("data: 1\n\n");
      more = (text) => response.end(text);
    });
    await using lab = httpLab();
    const source = lab.streams.open((await lab.ask({ url: server.url })).stream ?? "");
    expect(Buffer.from((await source.read(100)) ?? []).toString()).toBe("data: 1\n\n");
    const next = source.read(100);
    more("data: 2\n\n");
    expect(Buffer.from((await next) ?? []).toString()).toBe("data: 2\n\n");
    expect(await source.read(100)).toBeUndefined();
    expect(await source.read(100)).toBeUndefined();
  });

  test("what nobody reads stays with the server", async () => {
    let written = 0;
    const stalled = Promise.withResolvers<void>();
    await using server = await serveHttp((_, response) => {
      const write = () => {
        written += 65_536;
        if (response.write(Buffer.alloc(65_536))) setImmediate(write);
        // A second wait for room is one that lasts: the buffers of both sockets are full.
        else stalled.resolve();
      };
      response.on("drain", write);
      write();
    });
    await using lab = httpLab();
    const { stream = "" } = await lab.ask({ url: server.url });
    await stalled.promise;
    const source = lab.streams.open(stream);
    let read = 0;
    while (read < 8 * 1024 * 1024) read += (await source.read(65_536))?.length ?? 0;
    // Loopback sockets hold some MiB; a client that reads ahead of its reader would hold all that was written.
    expect(written - read).toBeLessThan(16 * 1024 * 1024);
    source.cancel("enough");
    await server.quiet();
  });

  test("inline: the whole body, or PAYLOAD_TOO_LARGE beyond 512 KiB", async () => {
    await using fits = await bulk(512 * 1024);
    await using exceeds = await bulk(512 * 1024 + 1);
    await using lab = httpLab();
    const ask = (server: CountingServer, path: string) => ({ url: `${server.url}${path}`, inline: true });
    for (const path of ["/", "/length"]) {
      expect(((await lab.ask(ask(fits, path))).body as Uint8Array).length).toBe(512 * 1024);
      expect(await lab.refused(ask(exceeds, path))).toMatchObject({
        code: "PAYLOAD_TOO_LARGE",
        details: { limit: "inlineBodyBytesMax", max: 512 * 1024 },
      });
    }
    await exceeds.quiet();
  });

  test("an endless body ends at bodyBytesMax, and its connection with it", async () => {
    await using server = await bulk(1_000_000);
    await using lab = httpLab({ limits: { bodyBytesMax: 200_000 } });
    const source = lab.streams.open((await lab.ask({ url: server.url })).stream ?? "");
    await expect(readAll(source)).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      details: { limit: "bodyBytesMax", max: 200_000 },
    });
    await expect(source.read(1)).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    await server.quiet();
  });

  test("a body that breaks off is no body", async () => {
    await using server = await serveHttp((_, response) => {
      response.writeHead(200, { "content-length": "1000000" });
      response.write(Buffer.alloc(100_000), () => response.destroy());
    });
    await using lab = httpLab();
    const source = lab.streams.open((await lab.ask({ url: server.url })).stream ?? "");
    await expect(readAll(source)).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
    expect(await lab.refused({ url: server.url, inline: true })).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });

  test("after a cancel nothing is read, not even what came before it", async () => {
    await using server = await bulk(100_000);
    await using lab = httpLab();
    const source = lab.streams.open((await lab.ask({ url: server.url })).stream ?? "");
    expect((await source.read(10))?.length).toBe(10);
    source.cancel("enough");
    source.cancel("again");
    await expect(source.read(10)).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
  });

  test("a request's body may be a stream, after first bytes in the message", async () => {
    await using server = await mirror();
    await using lab = httpLab();
    const pieces = [Buffer.from("b".repeat(100_000)), Buffer.from("c")];
    const cancelled: string[] = [];
    const stream = lab.streams.serve(sourceOf(pieces, cancelled));
    const answer = await lab.ask({ method: "PUT", url: server.url, body: "a", stream, inline: true });
    const { body, rawHeaders } = JSON.parse(textOf(answer)) as { body: string; rawHeaders: string[] };
    expect(body).toBe(`a${"b".repeat(100_000)}c`);
    expect(rawHeaders).toContain("chunked");
    expect(cancelled).not.toEqual([]);
  });

  test("a server may answer before it has read the request: the rest is given up", async () => {
    await using server = await serveHttp((_, response) => response.writeHead(413).end("too much"));
    await using lab = httpLab();
    const cancelled: string[] = [];
    const endless = {
      read: async () => Buffer.alloc(65_536),
      cancel: (reason: string) => void cancelled.push(reason),
    };
    const stream = lab.streams.serve(endless);
    expect((await lab.ask({ method: "PUT", url: server.url, stream })).status).toBe(413);
    await server.quiet();
    expect(cancelled).not.toEqual([]);
  });

  test("header values that are not ASCII come as their bytes in MessagePack, as Latin-1 in JSON", async () => {
    await using server = await listening(
      createTcpServer((socket) =>
        socket.once("data", () =>
          socket.end(
            Buffer.from("HTTP/1.1 200 OK\r\nx-name: \u00c3\u00a9\r\nContent-Length: 0\r\n\r\n", "latin1"),
          ),
        ),
      ) as never,
      "http",
    );
    await using lab = httpLab();
    const { headers } = await lab.ask({ url: server.url });
    expect(headers[0]).toEqual(["x-name", new Uint8Array([0xc3, 0xa9])]);
    expect((await lab.ask({ url: server.url }, {}, "json")).headers[0]).toEqual(["x-name", "\u00c3\u00a9"]);
  });

  test("a request's body that breaks ends the request with its reason", async () => {
    await using server = await mirror();
    await using lab = httpLab();
    let reads = 0;
    const stream = lab.streams.serve({
      async read() {
        if ((reads += 1) === 1) return Buffer.alloc(10);
        throw new Failure("GUEST_ERROR", "half");
      },
      cancel() {},
    });
    expect(await lab.refused({ method: "PUT", url: server.url, stream })).toMatchObject({
      code: "GUEST_ERROR",
      message: "half",
    });
    await server.quiet();
  });

  test("the body of a request that is refused is given up", async () => {
    await using lab = httpLab();
    const cancelled: string[] = [];
    const stream = lab.streams.serve(sourceOf([], cancelled));
    const failure = await lab.refused(
      { method: "PUT", url: "https://a.example/", stream },
      { permissions: ["http:domain:b.example"] },
    );
    expect([failure.code, cancelled]).toEqual(["PERMISSION_DENIED", ["the request is over"]]);
  });

  test("a request's body beyond bodyBytesMax is refused, and one for GET at once", async () => {
    await using server = await mirror();
    await using lab = httpLab({ limits: { bodyBytesMax: 100 } });
    const stream = lab.streams.serve(sourceOf([Buffer.alloc(60), Buffer.alloc(60)]));
    expect(await lab.refused({ method: "POST", url: server.url, stream })).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
    });
    expect(await lab.refused({ url: server.url, stream })).toMatchObject({ details: { field: "body" } });
  });
});
