import fc from "fast-check";
import { Agent, request as undiciRequest } from "undici";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { headers as busHeaders } from "../../src/protocol/calls.ts";
import { Failure, type ErrorCode } from "../../src/protocol/errors.ts";
import { type GuestRequest, type HttpLab, httpLab, routeGrant } from "./http-server-lab.ts";

const names = ["echo", "head", "fail", "odd", "silent", "gone", "text"] as const;
const routes = names.map((name) => ({ path: `/${name}`, target: name }));

describe("R5.2: an http-server with guests behind it", () => {
  let lab: HttpLab;
  let seen: GuestRequest[];
  beforeAll(async () => {
    seen = [];
    lab = await httpLab({ routes, limits: { answerTimeoutMs: 300, bodyBytesMax: 200_000 } });
    await lab.respond("echo", (request) => {
      seen.push(request);
      return { status: 200, headers: [["x-seen", "yes"]], body: request.body ?? new Uint8Array(0) };
    });
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  const get = (path: string, init: RequestInit = {}) => fetch(lab.url + path, init);
  const authority = () => new URL(lab.url).host;

  test("P10: a request becomes one call, and the guest's answer the client's", async () => {
    seen.length = 0;
    const answer = await get("/echo/a%20b?q=1&r=%2F", {
      method: "POST",
      body: "hello",
      headers: { "content-type": "text/plain", "x-Custom": "Ä" },
    });
    expect([answer.status, answer.headers.get("x-seen"), await answer.text()]).toEqual([200, "yes", "hello"]);
    expect(answer.headers.get("content-length")).toBe("5");
    const { headers, ...rest } = seen[0]!;
    expect(rest).toEqual({
      method: "POST",
      scheme: "http",
      authority: authority(),
      path: "/echo/a%20b?q=1&r=%2F",
      body: new Uint8Array(Buffer.from("hello")),
    });
    const told = new Map(headers);
    expect(told.get("x-custom")).toEqual(new Uint8Array([0xc4]));
    expect(told.get("content-length")).toBe("5");
    expect(told.get("x-forwarded-for")).toBe("127.0.0.1");
    expect(told.get("x-forwarded-proto")).toBe("http");
    expect(told.get("x-forwarded-host")).toBe(authority());
    expect(
      ["host", "connection", "keep-alive", "transfer-encoding"].filter((name) => told.has(name)),
    ).toEqual([]);
  });

  test("P10: any body of any size comes back byte for byte", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40_000, size: "max" }), async (body) => {
        const answer = await get("/echo", { method: "POST", body });
        expect(Buffer.from(await answer.arrayBuffer()).equals(Buffer.from(body))).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test("P20: a call that surely was not begun is made once more, for the name may have other instances", async () => {
    let calls = 0;
    const end = await lab.respond("fail", () => {
      calls += 1;
      if (calls % 3 === 0) return { status: 200 };
      throw new Failure("INSTANCE_UNAVAILABLE", "it ended", { details: { safeToRepeat: true } });
    });
    const first = await get("/fail");
    const second = await get("/fail");
    end();
    expect([first.status, second.status, calls]).toEqual([503, 200, 3]);
  });

  test("headers of the connection and what only a proxy may say do not reach the guest", async () => {
    seen.length = 0;
    await lab.raw(
      "GET /echo HTTP/1.1\r\nHost: a.example\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nTE: trailers\r\n" +
        "Upgrade: websocket\r\nProxy-Authorization: b\r\nKeep-Alive: 5\r\nX-Forwarded-For: 6.6.6.6\r\n" +
        "x-forwarded-port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Kept: 1\r\n\r\n",
    );
    expect(seen[0]?.headers).toEqual([
      ["x-kept", "1"],
      ["x-forwarded-for", "127.0.0.1"],
      ["x-forwarded-proto", "http"],
      ["x-forwarded-host", "a.example"],
    ]);
  });

  test("a trusted proxy is believed, and named in the list", async () => {
    const trusting = await lab.open({ routes, trustProxy: true });
    seen.length = 0;
    await fetch(`http://127.0.0.1:${trusting.address.port}/echo`, {
      headers: {
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example",
      },
    });
    expect(seen[0]?.scheme).toBe("https");
    expect(seen[0]?.headers.slice(-3)).toEqual([
      ["x-forwarded-for", "6.6.6.6, 127.0.0.1"],
      ["x-forwarded-proto", "https"],
      ["x-forwarded-host", "shop.example"],
    ]);
  });

  test("identifiers of a request travel as headers of its call; what cannot is left out", async () => {
    const heard: (string | undefined)[][] = [];
    const end = await lab.respond("head", (_request, message) => {
      heard.push([message.header(busHeaders.traceparent), message.header(busHeaders.correlationId)]);
      return { status: 204 };
    });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await get("/head", { headers: { traceparent, "x-request-id": "r-1" } });
    await get("/head", { headers: { "wasmatrix-correlation-id": "c-1" } });
    await get("/head", { headers: { traceparent: "two words", "x-request-id": "x".repeat(200) } });
    end();
    expect(heard).toEqual([
      [traceparent, "r-1"],
      [undefined, "c-1"],
      [undefined, undefined],
    ]);
  });

  test("HEAD, 204 and 304 have no body, whatever the guest sends along", async () => {
    let status = 200;
    const end = await lab.respond("head", () => ({
      status,
      headers: [["content-length", "1234"]],
      body: "not to be seen",
    }));
    const received: (string | number | null)[][] = [];
    for (status of [200, 204, 304]) {
      const answer = await get("/head", { method: status === 200 ? "HEAD" : "GET" });
      received.push([answer.status, answer.headers.get("content-length"), await answer.text()]);
    }
    end();
    expect(received).toEqual([
      [200, "1234", ""],
      [204, null, ""],
      [304, "1234", ""],
    ]);
    // The connection is still in step: what follows is the next answer and no body.
    expect(await (await get("/echo", { method: "POST", body: "next" })).text()).toBe("next");
  });

  test("many requests on one connection each get their own answer", async () => {
    const agent = new Agent({ connections: 1 });
    const bodies = Array.from({ length: 50 }, (_, index) => `body ${index}`);
    const answers = await Promise.all(
      bodies.map(async (body) => {
        const answer = await undiciRequest(`${lab.url}/echo`, { method: "POST", body, dispatcher: agent });
        return answer.body.text();
      }),
    );
    expect(answers).toEqual(bodies);
    await agent.close();
  });

  test("P20: each failure has its status, and a client is told nothing of the inside", async () => {
    const expected: [ErrorCode, number][] = [
      ["INSTANCE_UNAVAILABLE", 503],
      ["RESOURCE_EXHAUSTED", 503],
      ["GUEST_TRAPPED", 502],
      ["GUEST_ERROR", 502],
      ["TIMEOUT", 504],
      ["PAYLOAD_TOO_LARGE", 413],
      ["PERMISSION_DENIED", 500],
      ["INTERNAL_ERROR", 500],
    ];
    let code: ErrorCode = "TIMEOUT";
    const end = await lab.respond("fail", () => {
      throw new Failure(code, "the secret of instance i-77");
    });
    for (const [failure, status] of expected) {
      code = failure;
      const answer = await get("/fail", { headers: { accept: "application/json" } });
      const body = (await answer.json()) as { code: string; message: string };
      expect([failure, answer.status, body.code]).toEqual([failure, status, failure]);
      expect(answer.headers.get("retry-after")).toBe(status === 503 ? "1" : null);
      expect(body.message).not.toMatch(/secret|i-77/);
    }
    end();
  });

  test("no route is 404, nobody there is 503, nobody who answers is 504", async () => {
    const end = await lab.respond("silent", () => new Promise(() => {}));
    const told = async (path: string) => {
      const answer = await get(path);
      return [answer.status, answer.headers.get("retry-after"), await answer.text()];
    };
    expect(await told("/nowhere")).toEqual([
      404,
      null,
      "INSTANCE_NOT_FOUND: no route leads to this address\n",
    ]);
    expect(await told("/gone")).toEqual([
      503,
      "1",
      "INSTANCE_UNAVAILABLE: nobody answers for this address now\n",
    ]);
    expect(await told("/silent")).toEqual([504, null, "TIMEOUT: no answer came before the deadline\n"]);
    end();
  });

  test("a body that is announced as too long, and one that turns out to be, are 413", async () => {
    const end = await lab.respond("odd", async (request, _message, streams) => {
      const source = streams.open(request.stream ?? "");
      while ((await source.read(65_536).catch(() => undefined)) !== undefined);
      return { status: 200 };
    });
    const announced = await get("/odd", { method: "POST", body: new Uint8Array(300_000) });
    const chunked = await get("/odd", {
      method: "POST",
      body: new Blob([new Uint8Array(300_000)]).stream(),
      duplex: "half",
    } as RequestInit);
    end();
    expect([announced.status, chunked.status]).toEqual([413, 413]);
  });

  const answers: [string, unknown][] = [
    ["no status", { headers: [] }],
    ["a status of text", { status: "200" }],
    ["an informational status", { status: 101 }],
    ["a status beyond 599", { status: 600 }],
    ["no map", [200]],
    ["no MessagePack", new Uint8Array([0xc1])],
    ["nothing", new Uint8Array(0)],
    ["headers that are no list", { status: 200, headers: { a: "b" } }],
    ["a header that is no pair", { status: 200, headers: [["a"]] }],
    ["a header that ends its line", { status: 200, headers: [["a", "b\r\nset-cookie: c"]] }],
    ["a header that ends its line in bytes", { status: 200, headers: [["a", new Uint8Array([13, 10])]] }],
    ["a name that ends its line", { status: 200, headers: [["a\r\nb", "c"]] }],
    ["a name with a colon", { status: 200, headers: [["a:", "c"]] }],
    ["an empty name", { status: 200, headers: [["", "c"]] }],
    ["a number for a value", { status: 200, headers: [["a", 1]] }],
    [
      "headers without end",
      { status: 200, headers: Array.from({ length: 100 }, () => ["a", "b".repeat(1_000)]) },
    ],
    ["too many headers", { status: 200, headers: Array.from({ length: 3_000 }, () => ["a", "b"]) }],
    ["a body that is a number", { status: 200, body: 1 }],
    ["a stream that is none", { status: 200, stream: "a.b.c" }],
    ["a stream that is a number", { status: 200, stream: 7 }],
  ];
  test.each(answers)("P18: an answer with %s is 502 and nothing of it is sent", async (_what, value) => {
    const end = await lab.respond("odd", () => value);
    const answer = await get("/odd");
    end();
    expect([answer.status, await answer.text()]).toEqual([
      502,
      "GUEST_ERROR: the guest answered with an error of its own\n",
    ]);
  });

  test("headers of a guest that belong to the connection are left out, its length is the server's to say", async () => {
    const end = await lab.respond("odd", () => ({
      status: 201,
      headers: [
        ["Content-Length", "999"],
        ["Transfer-Encoding", "chunked"],
        ["connection", "upgrade"],
        ["Set-Cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["x-name", "Zoë"],
      ],
      body: "short",
    }));
    const received = await lab.raw("GET /odd HTTP/1.0\r\n\r\n");
    end();
    const [head = "", body] = received.split("\r\n\r\n");
    const lines = head.split("\r\n").filter((line) => !line.startsWith("Date:"));
    expect([lines, body]).toEqual([
      [
        "HTTP/1.1 201 Created",
        "set-cookie: a=1",
        "set-cookie: b=2",
        `x-name: ${Buffer.from("Zoë").toString("latin1")}`,
        "content-length: 5",
        "Connection: close",
      ],
      "short",
    ]);
  });

  test("an answer in JSON counts too: for guests without MessagePack", async () => {
    const end = await lab.respond("text", () => Buffer.from('{"status":200,"body":{"base64":"aGk="}}'));
    expect(await (await get("/text")).text()).toBe("hi");
    end();
  });

  test("tells its health, which is no guest's business", async () => {
    const server = await lab.open({ routes: [{ path: "/", target: "echo" }], healthPath: "/up" });
    const url = `http://127.0.0.1:${server.address.port}`;
    seen.length = 0;
    expect(await (await fetch(`${url}/up?x`)).json()).toEqual({ status: "ok", routes: 1, inFlight: 0 });
    expect((await fetch(`${url}/upper`)).status).toBe(200);
    expect(seen.map(({ path }) => path)).toEqual(["/upper"]);
  });

  test("R16.1: an address that is taken is an error that names it, and it has no operations", async () => {
    const { port } = lab.server.address;
    await expect(lab.open({ port })).rejects.toMatchObject({
      code: "PROVIDER_UNAVAILABLE",
      message: `cannot listen on 127.0.0.1 port ${port}: EADDRINUSE`,
    });
    await expect(lab.server.call({} as never, "get", new Uint8Array(0))).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
  });

  test("R2.3: a grant serves from now on, and its end is 503 and no guess", async () => {
    const end = await lab.respond("late", () => ({ status: 200, body: "here" }));
    expect((await get("/late")).status).toBe(404);
    lab.server.granted?.([routeGrant("late", { path: "/late" })]);
    expect(await (await get("/late")).text()).toBe("here");
    lab.server.granted?.([]);
    expect((await get("/late")).status).toBe(503);
    end();
  });

  test("more requests than it may have in progress are refused with 503, and those in progress go on", async () => {
    const busy = await lab.open({ routes, limits: { inFlightMax: 2 } });
    const waiting: (() => void)[] = [];
    const end = await lab.respond("text", async () => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return { status: 200 };
    });
    const ask = () => fetch(`http://127.0.0.1:${busy.address.port}/text`);
    const first = [ask(), ask()];
    await vi.waitFor(() => expect(waiting.length).toBe(2));
    expect((await ask()).status).toBe(503);
    for (const go of waiting) go();
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200]);
    end();
  });

  test("without the bus it says so: 503 at once, unwell, and well again is not claimed", async () => {
    await using other = await httpLab({ routes });
    await other.kill();
    await vi.waitFor(() => expect(other.bus.connected).toBe(false), { timeout: 5_000 });
    expect((await fetch(`${other.url}/echo`)).status).toBe(503);
    const health = await fetch(`${other.url}/-/health`);
    expect([health.status, await health.json()]).toEqual([
      503,
      { status: "disconnected", routes: routes.length, inFlight: 0 },
    ]);
    await expect(other.server.check()).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
  });
});
