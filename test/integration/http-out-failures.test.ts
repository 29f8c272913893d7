import { createServer as createTcpServer } from "node:net";
import { describe, expect, test } from "vitest";
import { httpLab, listening, readAll, serveHttp } from "./http-out-lab.ts";

describe("R13.6: servers that fail, and deadlines", () => {
  test("nobody listens, no such name: COMMUNICATION_FAILURE without an address", async () => {
    const server = await serveHttp(() => undefined);
    await server[Symbol.asyncDispose]();
    await using lab = httpLab({
      resolve: async () => Promise.reject(Object.assign(new Error(), { code: "ENOTFOUND" })),
    });
    expect(await lab.refused({ url: server.url })).toMatchObject({
      code: "COMMUNICATION_FAILURE",
      message: "http: nobody listens there (ECONNREFUSED)",
      retry: "later",
    });
    expect(await lab.refused({ url: "http://nowhere.example/" })).toMatchObject({
      code: "COMMUNICATION_FAILURE",
      message: "http: the name of the host has no address (ENOTFOUND)",
    });
  });

  test.each([
    ["not HTTP at all", "220 mail.example ESMTP\r\n"],
    ["an answer that is cut off", "HTTP/1.1 200 OK\r\nContent-Le"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    [
      "a length and chunks",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ],
  ])("%s is a COMMUNICATION_FAILURE", async (_, text) => {
    await using server = await listening(
      createTcpServer((socket) => socket.once("data", () => socket.end(text))) as never,
      "http",
    );
    await using lab = httpLab();
    expect(await lab.refused({ url: server.url })).toMatchObject({ code: "COMMUNICATION_FAILURE" });
  });

  test("a head beyond 64 KiB, or with more than 1,024 headers, is RESOURCE_EXHAUSTED", async () => {
    const head = (lines: string[]) => `HTTP/1.1 200 OK\r\n${lines.join("\r\n")}\r\n\r\n`;
    const large = head([`x: ${"y".repeat(70_000)}`]);
    const many = head(Array.from({ length: 1_100 }, (_, index) => `h${index}: 1`));
    for (const [text, limit] of [
      [large, "answerHeadersBytesMax"],
      [many, "headersMax"],
    ]) {
      await using server = await listening(
        createTcpServer((socket) => socket.once("data", () => socket.write(text ?? ""))) as never,
        "http",
      );
      await using lab = httpLab();
      expect(await lab.refused({ url: server.url })).toMatchObject({
        code: "RESOURCE_EXHAUSTED",
        details: { limit },
      });
      await server.quiet();
    }
  });

  test("TIMEOUT says what was awaited, and closes the connection", async () => {
    await using silent = await serveHttp(() => undefined);
    await using slow = await serveHttp((_, response) => void response.write("x"));
    await using lab = httpLab({ limits: { bodyIdleMs: 30, inlineWaitMs: 1 } });
    const phase = async (fields: object) => (await lab.refused(fields)).details?.["phase"];
    expect(await phase({ url: silent.url, firstByteTimeoutMs: 20 })).toBe("first-byte");
    expect(await phase({ url: silent.url, timeoutMs: 20, firstByteTimeoutMs: 30_000 })).toBe("whole");
    expect(await phase({ url: slow.url, inline: true })).toBe("body");
    await using patient = httpLab();
    expect(await patient.refused({ url: slow.url, inline: true, timeoutMs: 30 })).toMatchObject({
      code: "TIMEOUT",
      details: { phase: "whole" },
    });
    const { stream = "" } = await lab.ask({ url: slow.url });
    await expect(readAll(lab.streams.open(stream))).rejects.toMatchObject({ code: "TIMEOUT" });
    await Promise.all([silent.quiet(), slow.quiet()]);
  });

  test("a lookup that never answers is a TIMEOUT", async () => {
    await using lab = httpLab({
      resolve: () => new Promise(() => undefined),
      limits: { connectTimeoutMs: 20 },
    });
    expect(await lab.refused({ url: "http://slow.example/" })).toMatchObject({
      code: "TIMEOUT",
      details: { phase: "connect" },
    });
    await using patient = httpLab({ resolve: () => new Promise(() => undefined) });
    expect(await patient.refused({ url: "http://slow.example/", timeoutMs: 20 })).toMatchObject({
      code: "TIMEOUT",
      details: { phase: "whole" },
    });
  });

  test("a stream that drips forever ends with streamMsMax", async () => {
    await using server = await serveHttp((_, response) => void response.write("x"));
    await using lab = httpLab({ limits: { streamMsMax: 30, inlineWaitMs: 1 } });
    const { stream = "" } = await lab.ask({ url: server.url });
    await expect(readAll(lab.streams.open(stream))).rejects.toMatchObject({ code: "TIMEOUT" });
    await server.quiet();
  });
});
