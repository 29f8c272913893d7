import { createServer as createTcpServer } from "node:net";
import { describe, expect, test } from "vitest";
import { type ResolvedAddress, refusal } from "../../src/capabilities/http/connect.ts";
import { httpLab, listening, serveHttp, textOf } from "./http-out-lab.ts";

const v4 = (address: string): ResolvedAddress => ({ address, family: 4 });

/** A server that must not be reached, and a guest with the permissions. */
async function trap(permissions: string[], answers: ResolvedAddress[] = [v4("127.0.0.1")]) {
  const server = await serveHttp((_, response) => response.end("secret"));
  let lookups = 0;
  const lab = httpLab({
    permissions,
    resolve: async () => {
      lookups += 1;
      return answers;
    },
  });
  return {
    server,
    lab,
    port: server.port,
    get lookups() {
      return lookups;
    },
    async [Symbol.asyncDispose]() {
      await lab[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe("R14.4: without http:private no spelling leads inside", () => {
  test.each([
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "0x7f000001",
    "017700000001",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "%31%32%37.0.0.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "168.63.129.16",
    "100.100.100.200",
    "10.0.0.1",
    "192.168.1.1",
    "172.31.255.255",
  ])("%s", async (host) => {
    await using it = await trap(["http:request"]);
    expect(await it.lab.refused({ url: `http://${host}:${it.port}/` })).toMatchObject({
      code: "PERMISSION_DENIED",
      details: { permission: "http:private" },
    });
    expect([it.server.connections, it.lookups]).toEqual([0, 0]);
  });

  test.each([
    "0",
    "0.0.0.0",
    "[::]",
    "255.255.255.255",
    "224.0.0.1",
    "[ff02::1]",
    "240.0.0.1",
    "192.0.2.1",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[::127.0.0.1]",
    "[4000::1]",
  ])("%s is not granted by anything", async (host) => {
    await using it = await trap(["http:request", "http:private"]);
    const failure = await it.lab.refused({ url: `http://${host}:${it.port}/` });
    expect([failure.code, failure.details]).toEqual(["PERMISSION_DENIED", undefined]);
    expect(it.server.connections).toBe(0);
  });

  test.each(["localhost", "LOCALHOST", "a.localhost", "printer.example"])(
    "the name %s is looked up, and where it leads is not granted; the address is not told",
    async (host) => {
      await using it = await trap(["http:request"]);
      const failure = await it.lab.refused({ url: `http://${host}:${it.port}/` });
      expect(failure).toMatchObject({ code: "PERMISSION_DENIED", details: { permission: "http:private" } });
      expect(JSON.stringify([failure.message, failure.fix, failure.details])).not.toContain("127.");
      expect(it.server.connections).toBe(0);
    },
  );

  test("a domain that is granted does not grant an inside that it leads to", async () => {
    await using it = await trap(["http:domain:good.example"]);
    expect(await it.lab.refused({ url: `http://good.example:${it.port}/` })).toMatchObject({
      code: "PERMISSION_DENIED",
      details: { permission: "http:private" },
    });
    expect(it.server.connections).toBe(0);
  });

  test("one private answer among public ones is enough", async () => {
    await using it = await trap(["http:request"], [v4("93.184.215.14"), v4("127.0.0.1")]);
    expect(await it.lab.refused({ url: `http://mixed.example:${it.port}/` })).toMatchObject({
      code: "PERMISSION_DENIED",
    });
    expect(it.server.connections).toBe(0);
  });

  test("DNS rebinding: a name is looked up once for a connection, and that answer is connected to", async () => {
    await using server = await serveHttp((_, response) => response.end("secret"));
    let lookups = 0;
    await using lab = httpLab({
      permissions: ["http:request"],
      limits: { connectTimeoutMs: 200 },
      // Public when it is checked, this machine when somebody asks again.
      resolve: async () => [v4((lookups += 1) === 1 ? "203.0.114.1" : "127.0.0.1")],
    });
    const failure = await lab.refused({ url: `http://rebind.example:${server.port}/`, timeoutMs: 400 });
    expect(["TIMEOUT", "COMMUNICATION_FAILURE"]).toContain(failure.code);
    expect([lookups, server.connections]).toEqual([1, 0]);
    expect(await lab.refused({ url: `http://rebind.example:${server.port}/` })).toMatchObject({
      code: "PERMISSION_DENIED",
    });
    expect([lookups, server.connections]).toEqual([2, 0]);
  });

  test("where a connection arrived is held against the policy too", () => {
    expect(refusal(["127.0.0.1"], "a.example", { allowPrivate: false })).toMatchObject({
      code: "PERMISSION_DENIED",
    });
    expect(refusal([undefined], "a.example", { allowPrivate: true })).toMatchObject({
      code: "PERMISSION_DENIED",
    });
    expect(refusal(["93.184.215.14"], "a.example", { allowPrivate: false })).toBeUndefined();
  });

  test("a connection that was kept for who may go inside is not used for who may not", async () => {
    await using server = await serveHttp((_, response) => response.end("secret"));
    await using lab = httpLab();
    const url = `${server.url}/`;
    expect(textOf(await lab.ask({ url }))).toBe("secret");
    expect(server.open.size).toBe(1);
    const failure = await lab.refused({ url }, { instanceId: "i-2", permissions: ["http:request"] });
    expect(failure).toMatchObject({ code: "PERMISSION_DENIED", details: { permission: "http:private" } });
    expect(server.connections).toBe(1);
  });
});

describe("R2.5: hosts that look like the granted one", () => {
  test.each([
    ["https://allowed.example@127.0.0.1/", "http:domain:allowed.example"],
    ["https://allowed.example.evil.example/", "http:domain:allowed.example"],
    ["https://evil.example/allowed.example", "http:domain:allowed.example"],
    ["https://evil.example#allowed.example", "http:domain:allowed.example"],
    ["https://evil.example\\@allowed.example/", "http:domain:allowed.example"],
    ["https://allowed%2eexample.evil.example/", "http:domain:allowed.example"],
    ["https://x.example/", "http:domain:*.x.example"],
    ["https://evilx.example/", "http:domain:*.x.example"],
    ["https://аpple.x.example/", "http:domain:*.x.example"],
    ["https://xn--pple-43d.x.example/", "http:domain:*.x.example"],
    ["https://a.example/", "http:private"],
  ])("%s is not covered by %s", async (url, permission) => {
    await using it = await trap([permission]);
    const failure = await it.lab.refused({ url });
    expect(failure.code).toBe(url.includes("@127") ? "INVALID_REQUEST" : "PERMISSION_DENIED");
    expect([it.server.connections, it.lookups]).toEqual([0, 0]);
  });

  test("an encoded dot is a dot, for the check and for the connection", async () => {
    await using it = await trap(["http:domain:allowed.example", "http:private"]);
    expect(textOf(await it.lab.ask({ url: `http://allowed%2eexample:${it.port}/` }))).toBe("secret");
    expect(await it.lab.refused({ url: `http://evil%2eexample:${it.port}/` })).toMatchObject({
      code: "PERMISSION_DENIED",
    });
  });

  test("a refusal says what to grant, without echoing more than 64 characters", async () => {
    await using it = await trap(["http:domain:a.example"]);
    expect(await it.lab.refused({ url: "https://b.example/x" })).toMatchObject({
      code: "PERMISSION_DENIED",
      message: 'http request: no grant covers the host "b.example"',
      fix: "wasmatrix assign i-1 http=http:domain:b.example",
      details: { permission: "http:domain:b.example", operation: "request" },
    });
    const long = `${"y".repeat(60)}.${"y".repeat(60)}.example`;
    const failure = await it.lab.refused({ url: `https://${long}/${"z".repeat(5_000)}` });
    expect(JSON.stringify([failure.message, failure.fix, failure.details])).not.toMatch(/y{60}\.y{10}|z{65}/);
  });
});

describe("R13.5: a URL that no request goes to is INVALID_REQUEST for the field url", () => {
  test.each([
    "file:///etc/passwd",
    "data:text/plain,x",
    "ftp://a.example/",
    "ws://a.example/",
    "gopher://a.example/",
    "javascript:1",
    "//a.example/",
    "/path",
    "a.example",
    "",
    "http://",
    "http://a b/",
    "http://a.example:99999/",
    "https://user@a.example/",
    "https://user:password@a.example/",
    "https://:password@a.example/",
    "https://a.example./",
    "http://a.example.:80/x",
    "http://a.example\r\nHost: b/",
    "http://a\t.example/",
    "http://a.example/\0",
    ...[0, 22, 25, 53, 110, 2379, 3306, 4222, 5432, 6222, 6379, 6667, 8222, 11211, 27017].map(
      (port) => `http://127.0.0.1:${port}/`,
    ),
    7,
    null,
    undefined,
    ["http://a.example/"],
  ])("%j", async (url) => {
    await using it = await trap(["http:request", "http:private"]);
    expect(await it.lab.refused({ url })).toMatchObject({
      code: "INVALID_REQUEST",
      details: { field: "url" },
      fix: expect.any(String),
    });
    expect(it.lookups).toBe(0);
  });

  test("a URL beyond 8,192 characters is RESOURCE_EXHAUSTED", async () => {
    await using it = await trap(["http:request"]);
    for (const path of ["x".repeat(8_200), "é".repeat(3_000)]) {
      expect(await it.lab.refused({ url: `http://a.example/${path}` })).toMatchObject({
        code: "RESOURCE_EXHAUSTED",
        details: { limit: "urlCharactersMax", max: 8_192 },
      });
    }
  });
});

describe("R13.5: headers that are not a guest's to say", () => {
  const names =
    "Host Connection Transfer-Encoding Content-Length Upgrade Expect TE Trailer Keep-Alive HTTP2-Settings " +
    "Proxy-Authorization Proxy-Connection X-Forwarded-For X-Forwarded-Host X-Forwarded-Anything Forwarded X-Real-IP";
  test.each(names.split(" ").flatMap((name) => [name, name.toLowerCase(), name.toUpperCase()]))(
    "%s is INVALID_REQUEST",
    async (name) => {
      await using it = await trap(["http:request", "http:private"]);
      expect(
        await it.lab.refused({
          url: it.server.url,
          headers: [
            ["a", "b"],
            [name, "1"],
          ],
        }),
      ).toMatchObject({
        code: "INVALID_REQUEST",
        details: { field: "headers[1]" },
      });
      expect(it.server.connections).toBe(0);
    },
  );

  test.each([
    [["", "x"]],
    [["a b", "x"]],
    [["a:", "x"]],
    [["a\r\nb", "x"]],
    [["é", "x"]],
    [["x".repeat(257), "x"]],
    [["a", "b\r\nc: d"]],
    [["a", "b\nc"]],
    [["a", "b\rc"]],
    [["a", "\0"]],
    [["a", "\u2028"]],
    [["a", "\u0100"]],
    [["a", "\u{1f600}"]],
    [["a", Buffer.from("b\r\nc: d")]],
    [["a", 1]],
    [["a", null]],
    [["a"]],
    [["a", "b", "c"]],
    ["a: b"],
    [{ a: "b" }],
  ])("%j is INVALID_REQUEST", async (header) => {
    await using it = await trap(["http:request", "http:private"]);
    expect(await it.lab.refused({ url: it.server.url, headers: [header] })).toMatchObject({
      code: "INVALID_REQUEST",
      details: { field: "headers[0]" },
    });
    expect(it.server.connections).toBe(0);
  });

  test("1,024 headers and 64 KiB of them pass, more is RESOURCE_EXHAUSTED", async () => {
    await using it = await trap(["http:request", "http:private"]);
    const many = (count: number) => Array.from({ length: count }, (_, index) => [`h${index}`, "1"]);
    expect(await it.lab.refused({ url: it.server.url, headers: many(1_025) })).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      details: { limit: "headersMax" },
    });
    expect(await it.lab.refused({ url: it.server.url, headers: [["a", "x".repeat(65_536)]] })).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      details: { limit: "headersBytesMax" },
    });
    await using patient = await listening(
      createTcpServer((socket) => {
        let seen = "";
        socket.setEncoding("latin1").on("data", (text: string) => {
          seen += text;
          if (seen.endsWith("\r\n\r\n")) {
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n${seen.split("\r\n").length}`);
          }
        });
      }) as never,
      "http",
    );
    expect(textOf(await it.lab.ask({ url: patient.url, headers: many(1_024) }))).toBe("1031");
  });

  test("names of an object's own machinery are names like others", async () => {
    await using server = await serveHttp((request, response) => response.end(request.rawHeaders.join()));
    await using lab = httpLab();
    const headers = [
      ["__proto__", "1"],
      ["constructor", "2"],
    ];
    expect(textOf(await lab.ask({ url: server.url, headers }))).toContain("__proto__,1,constructor,2");
  });
});

describe("R13.5: other fields", () => {
  test.each([
    [{ method: "CONNECT" }, "method"],
    [{ method: "TRACE" }, "method"],
    [{ method: "get" }, "method"],
    [{ method: "GET / HTTP/1.1\r\nX: y" }, "method"],
    [{ method: 1 }, "method"],
    [{ headers: "a: b" }, "headers"],
    [{ headers: 1 }, "headers"],
    [{ body: 1, method: "POST" }, "body"],
    [{ body: [1], method: "POST" }, "body"],
    [{ body: { base64: "%" }, method: "POST" }, "body.base64"],
    [{ body: { base64: "", more: 1 }, method: "POST" }, "body"],
    [{ body: "x" }, "body"],
    [{ body: "x", method: "HEAD" }, "body"],
    [{ stream: 1, method: "POST" }, "stream"],
    [{ stream: "x".repeat(200), method: "POST" }, "stream"],
    [{ timeoutMs: 0 }, "timeoutMs"],
    [{ timeoutMs: -1 }, "timeoutMs"],
    [{ timeoutMs: 300_001 }, "timeoutMs"],
    [{ timeoutMs: "5" }, "timeoutMs"],
    [{ firstByteTimeoutMs: 2 ** 53 }, "firstByteTimeoutMs"],
    [{ redirect: "error" }, "redirect"],
    [{ inline: 1 }, "inline"],
    [{ Method: "GET" }, '"Method"'],
    [{ ["x".repeat(100)]: 1 }, `"${"x".repeat(64)}"… (100 characters)`],
  ])("%j: %s", async (fields, field) => {
    await using it = await trap(["http:request", "http:private"]);
    expect(await it.lab.refused({ url: it.server.url, ...fields })).toMatchObject({
      code: "INVALID_REQUEST",
      details: { field },
    });
    expect(it.server.connections).toBe(0);
  });

  test("a stream that nobody serves is INVALID_REQUEST", async () => {
    await using it = await trap(["http:request", "http:private"]);
    expect(await it.lab.refused({ url: it.server.url, method: "POST", stream: "x" })).toMatchObject({
      code: "INVALID_REQUEST",
    });
  });
});
