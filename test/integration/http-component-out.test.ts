import { beforeAll, expect, test } from "vitest";
import type { ComponentCode } from "../../src/wasm/components/admit-component.ts";
import { OutgoingBody } from "../../src/wasm/components/world/http-outgoing.ts";
import { IncomingResponse } from "../../src/wasm/components/world/http-incoming.ts";
import type { outgoingHandler } from "../../src/wasm/components/world/http-fetch.ts";
import { createHttpWorld } from "../../src/wasm/components/world/http-world.ts";
import { capabilityScope } from "../support/capability-scope.ts";
import { bytesOf, textOf } from "../support/guest-host.ts";
import { helloHttpCode, httpGuest, httpHost, typesOf } from "../support/http-guest.ts";
import { type HttpLab, httpLab, readAll, serveHttp } from "./http-out-lab.ts";

let code: ComponentCode;

beforeAll(async () => {
  code = await helloHttpCode();
});

/** A guest's host behind which the http provider stands. */
function hostOf(lab: HttpLab, permissions: readonly string[] = ["http:request", "http:private"]) {
  return httpHost({
    streams: lab.streams,
    beginCapability: (_id, _type, operation, payload) =>
      lab.http.call(capabilityScope({ permissions, streams: lab.streams }), operation, payload),
  });
}

const large = Buffer.alloc(5_000_000, "x");

const server = () =>
  serveHttp((request, response) => {
    if (request.url === "/large") return void response.end(large);
    if (request.url === "/moved") return void response.writeHead(302, { location: "/large" }).end("moved");
    if (request.method !== "POST") return void response.writeHead(404).end("nothing here");
    const { headers } = request;
    let size = 0;
    request.on("data", (piece: Buffer) => (size += piece.length));
    request.on("end", () => response.end(JSON.stringify({ size, type: headers["content-type"] })));
  });

test("P10: a component gets what a real server answers, redirects and errors as they are", async () => {
  await using site = await server();
  await using lab = httpLab();
  const guest = httpGuest(code, hostOf(lab).host);
  const found = async (path: string) => {
    const { status, body } = (await guest.ask({ method: "GET", path: `/fetch?url=${site.url}${path}` })) as {
      status: number;
      body: Uint8Array;
    };
    return [status, textOf(body)];
  };
  expect(await found("/missing")).toEqual([404, "nothing here"]);
  expect(await found("/moved")).toEqual([302, "moved"]);
});

test("P10: a component passes 5 MB of a real server on", async () => {
  await using site = await server();
  await using lab = httpLab();
  const at = hostOf(lab);
  const asked = httpGuest(code, at.host).ask({ method: "GET", path: `/fetch?url=${site.url}/large` });
  await expect.poll(() => at.answers, { interval: 5 }).toHaveLength(1);
  const { body, stream } = at.answers[0] as { body: Uint8Array; stream: string };
  const rest = await readAll(lab.streams.open(stream));
  expect(Buffer.concat([body, rest]).equals(large)).toBe(true);
  expect(await asked).toBe("answered before");
});

test("P3: a component reaches no server that it was not granted", async () => {
  await using site = await server();
  await using lab = httpLab();
  const guest = httpGuest(code, hostOf(lab, ["http:domain:example.com"]).host);
  expect(await guest.ask({ method: "GET", path: `/fetch?url=${site.url}/` })).toMatchObject({ status: 502 });
  expect(site.connections).toBe(0);
});

test("P10: a body of 5 MB goes out as it is written", async () => {
  await using site = await server();
  await using lab = httpLab();
  const { host } = hostOf(lab);
  const world = createHttpWorld(host);
  const { Fields, OutgoingRequest } = typesOf(world);
  const outgoing = world.imports["wasi:http/outgoing-handler"] as ReturnType<typeof outgoingHandler>;
  const request = new OutgoingRequest(Fields.fromList([["content-type", bytesOf("text/plain")]]));
  request.setMethod({ tag: "post" });
  request.setScheme({ tag: "HTTP" });
  request.setAuthority(new URL(site.url).host);
  const body = request.body();
  const future = outgoing.handle(request, undefined);
  await body.write().blockingWriteAndFlush(large);
  OutgoingBody.finish(body, undefined);
  await future.subscribe().block();
  const response = future.get()?.val?.val;
  if (!(response instanceof IncomingResponse)) throw new Error("there was no response");
  const answer = textOf(await response.consume().stream().blockingRead(1_000n));
  expect(JSON.parse(answer)).toEqual({ size: 5_000_000, type: "text/plain" });
});
