import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { httpLab, listening, serveHttp, sourceOf, textOf } from "./http-out-lab.ts";

/** Redirects `/<status>` to the location, and answers anything else with what came. */
const redirectTo =
  (location: (path: string) => string): RequestListener =>
  (request, response) => {
    const status = Number(request.url?.slice(1, 4));
    if (status >= 300 && status < 400) {
      return void response.writeHead(status, { location: location(request.url ?? "") }).end("elsewhere");
    }
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(pieces).toString() }));
    });
  };

const here = [{ address: "127.0.0.1", family: 4 }];

describe("R2.3: redirects are requests of their own", () => {
  test.each([
    [301, "POST", "GET", ""],
    [302, "POST", "GET", ""],
    [303, "POST", "GET", ""],
    [303, "DELETE", "GET", ""],
    [307, "POST", "POST", "body"],
    [308, "PUT", "PUT", "body"],
    [301, "PUT", "PUT", "body"],
    [302, "HEAD", "HEAD", undefined],
  ])("%i of %s goes on as %s", async (status, method, expected, body) => {
    const seen: string[] = [];
    const listener = redirectTo(() => "/end?x=1");
    await using server = await serveHttp((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers["content-type"] ?? "-"}`);
      listener(request, response);
    });
    await using lab = httpLab();
    const answer = await lab.ask({
      method,
      url: `${server.url}/${status}`,
      headers: { "content-type": "text/plain" },
      ...(method === "HEAD" ? {} : { body: "body" }),
    });
    const type = body === "" ? "-" : "text/plain";
    expect(seen).toEqual([`${method} /${status} text/plain`, `${expected} /end?x=1 ${type}`]);
    expect(answer.url).toBe(`${server.url}/end?x=1`);
    if (body !== undefined) expect(JSON.parse(textOf(answer))).toMatchObject({ body });
  });

  test("manual: the redirect itself is the answer", async () => {
    await using server = await serveHttp(redirectTo(() => "/end"));
    await using lab = httpLab();
    const answer = await lab.ask({ url: `${server.url}/302`, redirect: "manual" });
    expect([answer.status, answer.headers, textOf(answer)]).toEqual([
      302,
      expect.arrayContaining([["location", "/end"]]),
      "elsewhere",
    ]);
  });

  test("five are followed, the sixth is not", async () => {
    let left = 5;
    await using server = await serveHttp(redirectTo(() => ((left -= 1) > 0 ? "/302" : "/end")));
    await using lab = httpLab();
    expect((await lab.ask({ url: `${server.url}/302` })).url).toBe(`${server.url}/end`);
    left = 6;
    expect(await lab.refused({ url: `${server.url}/302` })).toMatchObject({
      code: "COMMUNICATION_FAILURE",
      retry: "never",
    });
    expect(left).toBe(0);
  });

  test("authorization and cookie stay with their origin", async () => {
    await using other = await serveHttp(redirectTo(() => ""));
    await using server = await serveHttp(
      redirectTo((path) => (path === "/302" ? `${other.url}/end` : "/end")),
    );
    await using lab = httpLab();
    const ask = async (path: string) => {
      const headers = { authorization: "Bearer t", Cookie: "a=b", accept: "x/y" };
      const answer = await lab.ask({ url: `${server.url}${path}`, headers });
      return (JSON.parse(textOf(answer)) as { headers: Record<string, string> }).headers;
    };
    expect(await ask("/307")).toMatchObject({ authorization: "Bearer t", cookie: "a=b", accept: "x/y" });
    const elsewhere = await ask("/302");
    expect(elsewhere).toMatchObject({ accept: "x/y" });
    expect(Object.keys(elsewhere)).not.toEqual(expect.arrayContaining(["authorization"]));
    expect(Object.keys(elsewhere)).not.toEqual(expect.arrayContaining(["cookie"]));
  });

  test("a hop to a host that is not granted is PERMISSION_DENIED, and nothing connects", async () => {
    await using secret = await serveHttp((_, response) => response.end("secret"));
    await using server = await serveHttp(redirectTo(() => `http://evil.example:${secret.port}/`));
    await using lab = httpLab({ resolve: async () => here });
    const failure = await lab.refused(
      { url: `http://good.example:${server.port}/302` },
      { permissions: ["http:domain:good.example", "http:private"] },
    );
    expect(failure).toMatchObject({
      code: "PERMISSION_DENIED",
      fix: "wasmatrix assign i-1 http=http:domain:evil.example",
      details: { permission: "http:domain:evil.example" },
    });
    expect(secret.connections).toBe(0);
  });

  test.each([
    ["file:///etc/passwd"],
    ["ftp://127.0.0.1/"],
    ["data:text/plain,x"],
    ["http://user:pass@127.0.0.1/"],
    ["http://127.0.0.1:6379/"],
    ["http://a.example./"],
    ["http://"],
    [`/${"x".repeat(9_000)}`],
  ])("to %s they are not followed", async (location) => {
    await using server = await serveHttp(redirectTo(() => location));
    await using lab = httpLab();
    expect(await lab.refused({ url: `${server.url}/302` })).toMatchObject({
      code: "COMMUNICATION_FAILURE",
      details: { reason: "redirect" },
      retry: "never",
    });
    expect(server.connections).toBe(1);
  });

  test("a body that is a stream cannot be sent twice, and is given up", async () => {
    await using server = await serveHttp(redirectTo(() => "/end"));
    await using lab = httpLab();
    const cancelled: string[] = [];
    const source = () => lab.streams.serve(sourceOf([Buffer.from("x")], cancelled));
    expect(await lab.refused({ method: "PUT", url: `${server.url}/307`, stream: source() })).toMatchObject({
      code: "COMMUNICATION_FAILURE",
      retry: "never",
    });
    expect(cancelled).not.toEqual([]);
    const answer = await lab.ask({ method: "POST", url: `${server.url}/303`, stream: source() });
    expect(JSON.parse(textOf(answer))).toMatchObject({ method: "GET", body: "" });
  });

  test("a body that a redirect drops is given up before the next hop has answered", async () => {
    const cancelled = Promise.withResolvers<void>();
    await using server = await serveHttp((request, response) => {
      if (request.method === "POST") return void response.writeHead(303, { location: "/end" }).end();
      void cancelled.promise.then(() => response.end("given up"));
    });
    await using lab = httpLab();
    const endless = { read: async () => Buffer.alloc(65_536), cancel: () => cancelled.resolve() };
    const answer = await lab.ask({ method: "POST", url: server.url, stream: lab.streams.serve(endless) });
    expect(textOf(answer)).toBe("given up");
  });
});

const certificate = selfSigned("inside.example");

describe.skipIf(certificate === undefined)("R5.2: TLS", () => {
  const { key = "", cert = "" } = certificate ?? {};
  const secure = (listener: RequestListener) =>
    listening(createTlsServer({ key, cert }, listener) as never, "https");

  test("a server that proves its name is talked to, another one is not", async () => {
    await using server = await secure((request, response) => response.end(request.headers.host));
    await using lab = httpLab({ ca: cert, resolve: async () => here });
    const answer = await lab.ask({ url: `https://inside.example:${server.port}/` });
    expect(textOf(answer)).toBe(`inside.example:${server.port}`);
    expect(await lab.refused({ url: `https://other.example:${server.port}/` })).toMatchObject({
      code: "COMMUNICATION_FAILURE",
      message: expect.stringContaining("could not prove who it is"),
    });
    await using distrustful = httpLab({ resolve: async () => here });
    expect(await distrustful.refused({ url: `https://inside.example:${server.port}/` })).toMatchObject({
      code: "COMMUNICATION_FAILURE",
      message: expect.stringContaining("could not prove who it is"),
    });
  });

  test("from https no redirect leads to http", async () => {
    await using plain = await serveHttp((_, response) => response.end("plain"));
    await using server = await secure(redirectTo(() => `http://inside.example:${plain.port}/`));
    await using lab = httpLab({ ca: cert, resolve: async () => here });
    expect(await lab.refused({ url: `https://inside.example:${server.port}/302` })).toMatchObject({
      code: "COMMUNICATION_FAILURE",
      details: { reason: "redirect" },
    });
    expect(plain.connections).toBe(0);
  });
});

/** A key and its certificate, made by openssl; undefined where there is none. */
function selfSigned(name: string): { key: string; cert: string } | undefined {
  const directory = mkdtempSync(join(tmpdir(), "http-out-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const program = "openssl";
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  const how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const what = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  try {
    execFileSync(program, ["req", "-x509", ...how, ...what, "-keyout", key, "-out", cert], {
      stdio: "ignore",
    });
    return { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  } catch {
    return undefined;
  }
}
