import { describe, expect, test } from "vitest";
import { bulk, httpLab, mirror, readAll, serveHttp, textOf } from "./http-out-lab.ts";

describe("R5.2: requests to the outside", () => {
  test("the server gets method, path, headers and body, and the guest its answer (P10)", async () => {
    await using server = await mirror();
    await using lab = httpLab();
    const answer = await lab.ask({
      method: "POST",
      url: `${server.url}/a/b?c=d#e`,
      headers: [
        ["X-One", "1"],
        ["x-one", "2"],
        ["x-bytes", Buffer.from([0xc3, 0xa9])],
      ],
      body: "Grüße",
    });
    expect(answer).toEqual({
      status: 200,
      headers: expect.arrayContaining([["content-type", "application/json"]]),
      url: `${server.url}/a/b?c=d`,
      body: expect.any(Uint8Array),
    });
    expect(answer.headers.map(([name]) => name.toLowerCase())).not.toContain("connection");
    expect(JSON.parse(textOf(answer))).toEqual({
      method: "POST",
      url: "/a/b?c=d",
      rawHeaders: [
        "host",
        `127.0.0.1:${server.port}`,
        "connection",
        "keep-alive",
        "X-One",
        "1",
        "x-one",
        "2",
        "x-bytes",
        "\u00c3\u00a9",
        "accept-encoding",
        "identity",
        "user-agent",
        "wasmatrix",
        "content-length",
        "7",
      ],
      body: "Grüße",
    });
  });

  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])("%s", async (method) => {
    const seen: unknown[] = [];
    await using server = await serveHttp((request, response) => {
      seen.push(request.method);
      response.setHeader("content-length", "3");
      response.end("yes");
    });
    await using lab = httpLab();
    const answer = await lab.ask({ method, url: server.url });
    expect(seen).toEqual([method]);
    expect(textOf(answer)).toBe(method === "HEAD" ? "" : "yes");
  });

  test("JSON callers get text, or base64 where it is none; headers may be a map", async () => {
    await using server = await serveHttp((request, response) => {
      response.end(request.headers["x-want"] === "bytes" ? Buffer.from([0xff]) : "Grüße");
    });
    await using lab = httpLab();
    const ask = (want: string) => lab.ask({ url: server.url, headers: { "x-want": want } }, {}, "json");
    expect((await ask("text")).body).toBe("Grüße");
    expect((await ask("bytes")).body).toEqual({ base64: "/w==" });
  });

  test("the server's errors are answers", async () => {
    await using server = await serveHttp((_, response) => response.writeHead(503).end("busy"));
    await using lab = httpLab();
    expect(await lab.ask({ url: server.url })).toMatchObject({
      status: 503,
      body: new Uint8Array(Buffer.from("busy")),
    });
  });

  test("answers stay compressed: nothing is unpacked, so nothing explodes", async () => {
    const packed = Buffer.alloc(1_000, 7);
    await using server = await serveHttp((_, response) =>
      response.writeHead(200, { "content-encoding": "gzip" }).end(packed),
    );
    await using lab = httpLab();
    const answer = await lab.ask({ url: server.url, headers: [["accept-encoding", "gzip"]] });
    expect(answer.headers).toContainEqual(["content-encoding", "gzip"]);
    expect(answer.body).toEqual(new Uint8Array(packed));
  });

  test("connections are kept for the next request of the same policy", async () => {
    await using server = await serveHttp((_, response) => response.end("ok"));
    await using lab = httpLab();
    for (let times = 0; times < 5; times += 1) await lab.ask({ url: server.url });
    // The second is made because the first is not idle yet in the very moment that its answer ends.
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  test("an IPv6 address and a name lead to the same server", async () => {
    await using server = await serveHttp((request, response) => response.end(request.headers.host));
    await using lab = httpLab({ resolve: async () => [{ address: "127.0.0.1", family: 4 }] });
    expect(textOf(await lab.ask({ url: `http://[::ffff:127.0.0.1]:${server.port}/` }))).toBe(
      `[::ffff:7f00:1]:${server.port}`,
    );
    expect(textOf(await lab.ask({ url: `http://inside.example:${server.port}/` }))).toBe(
      `inside.example:${server.port}`,
    );
  });

  test("another operation is refused", async () => {
    await using lab = httpLab();
    await expect(lab.http.call({} as never, "fetch", Buffer.from("{}"))).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
  });
});

describe("R16: limits of a guest, grants that end, and the end", () => {
  test("requestsPerInstanceMax holds for one instance, requestsMax for all, until answers are read", async () => {
    await using server = await bulk(200_000);
    await using lab = httpLab({ limits: { requestsPerInstanceMax: 2, requestsMax: 3 } });
    const ask = (instanceId: string) => lab.ask({ url: server.url }, { instanceId });
    const { stream = "" } = await ask("a");
    await ask("a");
    await expect(ask("a")).rejects.toMatchObject({
      details: { limit: "requestsPerInstanceMax" },
      retry: "later",
    });
    await ask("b");
    await expect(ask("c")).rejects.toMatchObject({ details: { limit: "requestsMax" } });
    await readAll(lab.streams.open(stream));
    await ask("c");
  });

  test("a stream of an instance whose grant is gone breaks; others go on (R2.3)", async () => {
    await using server = await bulk(300_000);
    await using lab = httpLab();
    const holder = (instanceId: string, permissions: string[]) => ({
      lattice: "test",
      instanceId,
      name: instanceId,
      config: {},
      permissions,
      nodeId: "n",
      incarnation: 1,
      capabilityId: "http",
    });
    const all = ["http:request", "http:private"];
    const ask = async (instanceId: string) =>
      lab.streams.open((await lab.ask({ url: server.url }, { instanceId })).stream ?? "");
    const [lost, narrowed, kept, unheard] = [await ask("a"), await ask("b"), await ask("c"), await ask("d")];
    lab.http.granted?.([holder("a", all), holder("b", all), holder("c", all)]);
    lab.http.granted?.([holder("b", ["http:request"]), holder("c", all)]);
    await expect(readAll(lost)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    await expect(readAll(narrowed)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    expect((await readAll(kept)).length).toBe(300_000);
    expect((await readAll(unheard)).length).toBe(300_000);
  });

  test("close waits for calls, breaks streams, closes sockets and refuses what comes later (P20)", async () => {
    let finish: () => void = () => undefined;
    const asked = Promise.withResolvers<void>();
    await using server = await serveHttp((request, response) => {
      if (request.url === "/stream") return void response.end(Buffer.alloc(1_000_000));
      finish = () => response.end("done");
      asked.resolve();
    });
    const lab = httpLab();
    const source = lab.streams.open((await lab.ask({ url: `${server.url}/stream` })).stream ?? "");
    const answer = lab.ask({ url: server.url });
    await asked.promise;
    const closed = lab.http.close();
    expect(await lab.refused({ url: server.url })).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
    finish();
    expect(textOf(await answer)).toBe("done");
    await closed;
    await expect(readAll(source)).rejects.toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
    await server.quiet();
    await lab.http.close();
  });

  test("close does not wait longer than closeGraceMs", async () => {
    await using server = await serveHttp(() => undefined);
    const lab = httpLab({ limits: { closeGraceMs: 20 } });
    const refused = lab.refused({ url: server.url });
    await lab.http.close();
    expect(await refused).toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
    await server.quiet();
  });
});
