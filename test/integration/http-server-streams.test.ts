import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { ByteSource } from "../../src/byte-source.ts";
import { streamLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { countedSource, type HttpLab, httpLab } from "./http-server-lab.ts";

const bodyBytes = 20 * 1024 * 1024;
/** A piece at each end, one on its way, what Node and the kernel keep for a socket on either side, and slack. */
const heldBytesMax = 8 * 1024 * 1024;

const names = ["up", "down", "both", "broken"];

describe("R12.3: bodies through an http-server", () => {
  let lab: HttpLab;
  beforeAll(async () => {
    lab = await httpLab({ routes: names.map((name) => ({ path: `/${name}`, target: name })) });
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  const readAll = async (source: ByteSource, onBytes: (bytes: number) => void) => {
    for (;;) {
      const piece = await source.read(100_000);
      if (piece === undefined) return;
      onBytes(piece.length);
    }
  };

  test("20 MB go up as fast as the guest reads, and no faster", async () => {
    const gate = Promise.withResolvers<void>();
    let inline = 0;
    let read = 0;
    const end = await lab.respond("up", async ({ body, stream }, _message, streams) => {
      inline = body?.length ?? 0;
      const source = streams.open(stream ?? "");
      read += (await source.read(1_000))?.length ?? 0;
      await gate.promise;
      await readAll(source, (bytes) => (read += bytes));
      return { status: 200, body: String(inline + read) };
    });
    let sent = 0;
    const request = httpRequest(`${lab.url}/up`, { method: "POST" });
    const chunk = Buffer.alloc(65_536, 7);
    const send = async () => {
      while (sent < bodyBytes) {
        sent += chunk.length;
        if (!request.write(chunk)) await once(request, "drain");
      }
      request.end();
    };
    const sending = send();
    await vi.waitFor(() => expect(read).toBe(1_000));
    // Nothing more is asked for, so the client comes to a stop; two looks alike say that it has.
    let before = -1;
    await vi.waitFor(
      () => {
        const was = before;
        before = sent;
        expect(sent).toBe(was);
      },
      { interval: 100 },
    );
    expect(sent).toBeLessThan(heldBytesMax);
    gate.resolve();
    await sending;
    const [answer] = (await once(request, "response")) as [import("node:http").IncomingMessage];
    const text = (await answer.toArray()).join("");
    end();
    expect([inline, text]).toEqual([streamLimits.inlineBytesMax, String(bodyBytes)]);
  });

  test("20 MB go down as fast as the client reads, and no faster", async () => {
    const { source, given } = countedSource(bodyBytes);
    const end = await lab.respond("down", (_request, _message, streams) => ({
      status: 200,
      body: "first ",
      stream: streams.serve(source),
    }));
    const request = httpRequest(`${lab.url}/down`).end();
    const [answer] = (await once(request, "response")) as [import("node:http").IncomingMessage];
    let before = -1;
    await vi.waitFor(
      () => {
        const was = before;
        before = given();
        expect(given()).toBe(was);
      },
      { interval: 100 },
    );
    expect(given()).toBeLessThan(heldBytesMax);
    let received = 0;
    for await (const chunk of answer) received += (chunk as Buffer).length;
    end();
    expect([answer.headers["transfer-encoding"], received]).toEqual(["chunked", bodyBytes + 6]);
  });

  test("a body goes through a guest and comes back the same, both ways at a time", async () => {
    const end = await lab.respond("both", ({ body, stream }, _message, streams) => ({
      status: 200,
      headers: [["content-length", "3000000"]],
      body: body ?? new Uint8Array(0),
      stream: streams.serve(streams.open(stream ?? "")),
    }));
    const body = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => (index * 7) % 256));
    const answer = await fetch(`${lab.url}/both`, { method: "POST", body });
    const same = Buffer.from(await answer.arrayBuffer()).equals(body);
    end();
    expect([answer.headers.get("content-length"), same]).toEqual(["3000000", true]);
  });

  const breaking = (failAfter: number): ByteSource => {
    const { source, given } = countedSource(bodyBytes);
    return {
      read: (bytesMax) =>
        given() >= failAfter
          ? Promise.reject(new Failure("GUEST_TRAPPED", "the guest ended"))
          : source.read(bytesMax),
      cancel: (reason) => source.cancel(reason),
    };
  };
  test.each([
    ["chunks", "HTTP/1.1", [], () => breaking(200_000)],
    ["no length in HTTP/1.0", "HTTP/1.0", [], () => breaking(200_000)],
    [
      "less than its length",
      "HTTP/1.1",
      [["content-length", "5000000"]],
      () => countedSource(200_000).source,
    ],
    ["more than its length", "HTTP/1.1", [["content-length", "100"]], () => countedSource(200_000).source],
  ] as const)(
    "P20: an answer with %s that breaks is cut off and never looks complete",
    async (_what, version, headers, sourceOf) => {
      const end = await lab.respond("broken", (_request, _message, streams) => ({
        status: 200,
        headers,
        stream: streams.serve(sourceOf()),
      }));
      const { port } = lab.server.address;
      const socket = connect({ port, host: "127.0.0.1" });
      socket.write(`GET /broken ${version}\r\nHost: a\r\n\r\n`);
      socket.on("data", () => undefined);
      const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
      end();
      expect(error.code).toBe("ECONNRESET");
    },
  );

  test("a client that leaves is told to the guest that writes", async () => {
    const { source, cancelled } = countedSource(bodyBytes);
    const end = await lab.respond("down", (_request, _message, streams) => ({
      status: 200,
      stream: streams.serve(source),
    }));
    const abort = new AbortController();
    const answer = await fetch(`${lab.url}/down`, { signal: abort.signal });
    abort.abort();
    await vi.waitFor(() => expect(cancelled()).toBe("its reader gave it up"));
    end();
    expect(answer.status).toBe(200);
  });

  test("a client that leaves before its answer leaves no stream behind", async () => {
    const { source, cancelled } = countedSource(bodyBytes);
    const asked = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const end = await lab.respond("down", async (_request, _message, streams) => {
      asked.resolve();
      await left.promise;
      return { status: 200, stream: streams.serve(source) };
    });
    const socket = connect({ port: lab.server.address.port, host: "127.0.0.1" });
    socket.write("GET /down HTTP/1.1\r\nHost: a\r\n\r\n");
    await asked.promise;
    const other = await lab.open();
    socket.resetAndDestroy();
    // The server has seen it when it has answered somebody who came later.
    await fetch(`${lab.url}/-/health`);
    left.resolve();
    await vi.waitFor(() => expect(cancelled()).toBe("its reader gave it up"));
    await other.close();
    end();
  });

  test("a client that leaves in the midst of its body breaks what the guest reads", async () => {
    const outcome = Promise.withResolvers<unknown>();
    const started = Promise.withResolvers<void>();
    const end = await lab.respond("up", async ({ stream }, _message, streams) => {
      const source = streams.open(stream ?? "");
      await source.read(1_000);
      started.resolve();
      await readAll(source, () => undefined).then(
        () => outcome.resolve("complete"),
        (error: Failure) => outcome.resolve(error.code),
      );
      return { status: 200 };
    });
    const socket = connect({ port: lab.server.address.port, host: "127.0.0.1" });
    socket.on("error", () => undefined);
    socket.write("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
    socket.write(Buffer.alloc(200_000));
    await started.promise;
    socket.resetAndDestroy();
    expect(await outcome.promise).toBe("COMMUNICATION_FAILURE");
    end();
  });

  test("an answer before the body was read keeps the connection in step, and the offer of the body ends", async () => {
    let ref = "";
    const end = await lab.respond("up", ({ stream }) => {
      ref = stream ?? "";
      return { status: 401, body: "who are you" };
    });
    const body = new Uint8Array(500_000).fill(0x47);
    for (let count = 0; count < 3; count += 1) {
      const answer = await fetch(`${lab.url}/up`, { method: "POST", body });
      expect([answer.status, await answer.text()]).toEqual([401, "who are you"]);
    }
    await expect(lab.guestStreams.open(ref).read(10)).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
    });
    end();
  });

  test("events of unknown length reach the guest before there are 64 KiB of them", async () => {
    const heard: string[] = [];
    const end = await lab.respond("up", async ({ body, stream }, _message, streams) => {
      heard.push(Buffer.from(body ?? []).toString());
      const source = streams.open(stream ?? "");
      await readAll(source, () => heard.push("more"));
      return { status: 200 };
    });
    const request = httpRequest(`${lab.url}/up`, { method: "POST" });
    request.write("event 1");
    await vi.waitFor(() => expect(heard).toEqual(["event 1"]), { timeout: 5_000 });
    request.end("event 2");
    const [answer] = (await once(request, "response")) as [import("node:http").IncomingMessage];
    answer.resume();
    end();
    expect([answer.statusCode, heard]).toEqual([200, ["event 1", "more"]]);
  });
});
