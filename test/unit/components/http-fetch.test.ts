import { describe, expect, test } from "vitest";
import { componentHttpLimits } from "../../../src/limits.ts";
import { decode, encode } from "../../../src/protocol/codec.ts";
import { type ErrorCode, Failure } from "../../../src/protocol/errors.ts";
import type { FutureIncomingResponse } from "../../../src/wasm/components/world/http-fetch.ts";
import { IncomingResponse } from "../../../src/wasm/components/world/http-incoming.ts";
import { OutgoingBody, type RequestOptions } from "../../../src/wasm/components/world/http-outgoing.ts";
import type { OutgoingRequest } from "../../../src/wasm/components/world/http-outgoing-request.ts";
import { createHttpWorld } from "../../../src/wasm/components/world/http-world.ts";
import type { GuestHost } from "../../../src/wasm/guests/guest.ts";
import { bytesOf, textOf, thrownBy } from "../../support/guest-host.ts";
import { httpHost, readAll, sourceOf, typesOf } from "../../support/http-guest.ts";

/** A guest's way out, with a provider that answers as it is told; what it was asked is in `asked`. */
function fetching(provider: () => Promise<unknown>, parts: Partial<GuestHost> = {}) {
  const asked: unknown[] = [];
  const at = httpHost({
    beginCapability: async (...[capabilityId, providerType, operation, payload]) => {
      asked.push([capabilityId, providerType, operation, decode(payload).value]);
      return encode(await provider(), "msgpack");
    },
    ...parts,
  });
  const world = createHttpWorld(at.host);
  const { handle } = world.imports["wasi:http/outgoing-handler"] as {
    handle: (request: OutgoingRequest, options?: RequestOptions) => FutureIncomingResponse;
  };
  return { at, asked, handle, ...typesOf(world) };
}

type Fetching = ReturnType<typeof fetching>;

function requestTo({ Fields, OutgoingRequest }: Fetching, path?: string): OutgoingRequest {
  const request = new OutgoingRequest(new Fields());
  request.setAuthority("example.com");
  request.setPathWithQuery(path);
  return request;
}

/** Waits as a guest does. */
async function outcomeOf(future: FutureIncomingResponse): Promise<unknown> {
  await future.subscribe().block();
  return future.get();
}

async function responseOf(future: FutureIncomingResponse): Promise<IncomingResponse> {
  const outcome = (await outcomeOf(future)) as { val: { val: unknown } };
  if (!(outcome.val.val instanceof IncomingResponse)) throw new Error("there was no response");
  return outcome.val.val;
}

const answer = { status: 200, headers: [["a", "1"]], body: bytesOf("found") };

describe("a request to elsewhere", () => {
  test("without a body goes to the provider at once (R5.4)", async () => {
    const fetch = fetching(() => Promise.resolve(answer));
    const { Fields, OutgoingRequest, RequestOptions, handle, asked } = fetch;
    const headers = Fields.fromList([
      ["X-One", bytesOf("1")],
      ["content-length", bytesOf("7")],
      ["x-forwarded-for", bytesOf("10.0.0.1")],
    ]);
    const request = new OutgoingRequest(headers);
    request.setMethod({ tag: "delete" });
    request.setScheme({ tag: "HTTP" });
    request.setAuthority("example.com:8080");
    request.setPathWithQuery("/a?b=c");
    const options = new RequestOptions();
    options.setFirstByteTimeout(1_500_000_000n);
    const future = handle(request, options);
    const url = "http://example.com:8080/a?b=c";
    const sent = {
      method: "DELETE",
      url,
      headers: [["X-One", "1"]],
      firstByteTimeoutMs: 1_500,
      redirect: "manual",
    };
    expect(asked).toEqual([["http", "http", "request", sent]]);
    const response = await responseOf(future);
    expect(response.status()).toBe(200);
    expect(response.headers().entries()).toEqual([["a", bytesOf("1")]]);
    expect(textOf(await response.consume().stream().blockingRead(100n))).toBe("found");
    expect(future.get()).toEqual({ tag: "err", val: undefined });
  });

  test("has a body in its message when that is finished in time", async () => {
    const fetch = fetching(() => Promise.resolve(answer));
    const request = requestTo(fetch);
    request.setMethod({ tag: "post" });
    const body = request.body();
    const future = fetch.handle(request);
    expect(fetch.asked).toEqual([]);
    const output = body.write();
    await output.blockingWriteAndFlush(bytesOf("small"));
    output[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
    await responseOf(future);
    const sent = {
      method: "POST",
      url: "https://example.com/",
      headers: [],
      body: new Uint8Array(bytesOf("small")),
      redirect: "manual",
    };
    expect(fetch.asked).toEqual([["http", "http", "request", sent]]);
    expect(fetch.at.served.size).toBe(0);
  });

  test("streams a body that is large, at the pace of its reader", async () => {
    const text = "x".repeat(3 * componentHttpLimits.pipeBytes);
    const read: Promise<Buffer>[] = [];
    const fetch = fetching(async () => {
      const source = fetch.at.served.get("m.1");
      if (source !== undefined) read.push(readAll(source));
      await read[0];
      return answer;
    });
    const request = requestTo(fetch);
    request.setMethod({ tag: "put" });
    const body = request.body();
    const future = fetch.handle(request);
    await body.write().blockingWriteAndFlush(bytesOf(text));
    OutgoingBody.finish(body, undefined);
    await responseOf(future);
    expect((await read[0])?.toString()).toBe(text);
    expect(fetch.asked).toEqual([
      [
        "http",
        "http",
        "request",
        { method: "PUT", url: "https://example.com/", headers: [], stream: "m.1", redirect: "manual" },
      ],
    ]);
  });

  test("goes ahead of its body when the guest waits for the answer first", async () => {
    const fetch = fetching(() => Promise.resolve(answer));
    const request = requestTo(fetch);
    request.setMethod({ tag: "post" });
    const body = request.body();
    const response = await responseOf(fetch.handle(request));
    expect(response.status()).toBe(200);
    body[Symbol.dispose]();
    expect(await thrownBy(() => fetch.at.served.get("m.1")?.read(1))).toMatchObject({ code: "GUEST_ERROR" });
  });

  test("that fails while its body is written fails the next write, too", async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    const fetch = fetching(() => promise);
    const request = requestTo(fetch);
    request.setMethod({ tag: "post" });
    const output = request.body().write();
    const future = fetch.handle(request);
    await output.blockingWriteAndFlush(bytesOf("first"));
    fetch.at.passTime();
    const full = output.blockingWriteAndFlush(bytesOf("x".repeat(componentHttpLimits.pipeBytes)));
    reject(new Failure("TIMEOUT", "no answer began"));
    expect(await thrownBy(() => full)).toMatchObject({ tag: "last-operation-failed" });
    expect(await outcomeOf(future)).toMatchObject({ val: { val: { tag: "HTTP-response-timeout" } } });
  });

  test("of GET has no body, also where the guest asked for one and finishes it last", async () => {
    const fetch = fetching(() => Promise.resolve(answer));
    const request = requestTo(fetch);
    const body = request.body();
    await responseOf(fetch.handle(request));
    OutgoingBody.finish(body, undefined);
    const sent = { method: "GET", url: "https://example.com/", headers: [], redirect: "manual" };
    expect(fetch.asked).toEqual([["http", "http", "request", sent]]);
    expect(fetch.at.served.size).toBe(0);
  });

  test("is never sent when its guest gives the body up before", async () => {
    const fetch = fetching(() => Promise.resolve(answer));
    const request = requestTo(fetch);
    const body = request.body();
    const future = fetch.handle(request);
    body[Symbol.dispose]();
    expect(await outcomeOf(future)).toMatchObject({
      tag: "ok",
      val: { tag: "err", val: { tag: "internal-error" } },
    });
    expect(fetch.asked).toEqual([]);
  });

  test("opens the rest of a large answer when it is read, and lets go of one that is dropped", async () => {
    const fetch = fetching(() => Promise.resolve({ status: 200, body: bytesOf("ab"), stream: "p.rest" }));
    const source = sourceOf("cd");
    fetch.at.opened.set("p.rest", source);
    const response = await responseOf(fetch.handle(requestTo(fetch)));
    const input = response.consume().stream();
    expect(textOf(await input.blockingRead(10n))).toBe("ab");
    expect(textOf(await input.blockingRead(10n))).toBe("cd");
    const dropped = fetch.handle(requestTo(fetch));
    await dropped.subscribe().block();
    dropped[Symbol.dispose]();
    expect(source.cancels).toEqual(["the guest did not wait for it"]);
  });

  test.each<[ErrorCode, Record<string, unknown> | undefined, unknown]>([
    ["PERMISSION_DENIED", undefined, { tag: "HTTP-request-denied" }],
    ["TIMEOUT", undefined, { tag: "HTTP-response-timeout" }],
    ["TIMEOUT", { phase: "connect" }, { tag: "connection-timeout" }],
    ["PROVIDER_UNAVAILABLE", undefined, { tag: "destination-unavailable" }],
    ["PAYLOAD_TOO_LARGE", undefined, { tag: "HTTP-request-body-size" }],
    ["RESOURCE_EXHAUSTED", undefined, { tag: "internal-error", val: "RESOURCE_EXHAUSTED: said so" }],
    ["COMMUNICATION_FAILURE", undefined, { tag: "destination-unavailable" }],
    ["COMMUNICATION_FAILURE", { reason: "ENOTFOUND" }, { tag: "DNS-error", val: { rcode: "ENOTFOUND" } }],
    ["COMMUNICATION_FAILURE", { reason: "ECONNREFUSED" }, { tag: "connection-refused" }],
    ["COMMUNICATION_FAILURE", { reason: "ECONNRESET" }, { tag: "connection-terminated" }],
    ["COMMUNICATION_FAILURE", { reason: "HPE_INVALID_CONSTANT" }, { tag: "HTTP-protocol-error" }],
    ["COMMUNICATION_FAILURE", { reason: "CERT_HAS_EXPIRED" }, { tag: "TLS-certificate-error" }],
    ["INVALID_REQUEST", { field: "url" }, { tag: "HTTP-request-URI-invalid" }],
    ["INTERNAL_ERROR", undefined, { tag: "internal-error", val: "INTERNAL_ERROR: said so" }],
  ])("that ends with %s %o is told in the words of wasi:http (R5.4)", async (code, details, expected) => {
    const failure = new Failure(code, "said so", details === undefined ? {} : { details });
    const fetch = fetching(() => Promise.reject(failure));
    expect(await outcomeOf(fetch.handle(requestTo(fetch)))).toEqual({
      tag: "ok",
      val: { tag: "err", val: expected },
    });
  });

  test("without any grant of http is refused at once (R2.5, P3)", async () => {
    const fetch = fetching(() => Promise.resolve(answer), {
      capabilityFor: () => {
        throw new Failure("PERMISSION_DENIED", "there is no grant of http");
      },
    });
    const request = requestTo(fetch);
    const output = request.body().write();
    expect(await thrownBy(() => fetch.handle(request))).toEqual({ tag: "HTTP-request-denied" });
    expect(fetch.asked).toEqual([]);
    expect(await thrownBy(() => output.checkWrite())).toMatchObject({ tag: "last-operation-failed" });
  });

  test("ends the guest where its call was given up: that is nothing to handle", async () => {
    const givenUp = new Error("the call was given up");
    const fetch = fetching(() => Promise.reject(givenUp));
    const future = fetch.handle(requestTo(fetch));
    await future.subscribe().block();
    expect(await thrownBy(() => future.get())).toBe(givenUp);
  });

  test.each([
    ["nothing that HTTP knows", { status: 99 }],
    ["a header with a line end", { status: 200, headers: [["a", "1\r\nb: 2"]] }],
    ["a list", []],
  ])("whose provider answers with %s is a protocol error", async (_what, wrong) => {
    const fetch = fetching(() => Promise.resolve(wrong));
    expect(await outcomeOf(fetch.handle(requestTo(fetch)))).toEqual({
      tag: "ok",
      val: { tag: "err", val: { tag: "HTTP-protocol-error" } },
    });
  });

  test.each([
    "allowed.example@127.0.0.1",
    "user:password@example.com",
    "example.com/path",
    "example.com?q",
    "example.com#f",
    "example.com\\@evil.example",
    "example.com\r\nHost: evil",
    "exa mple.com",
    "[::1",
    "example.com:port",
    "",
    "e".repeat(300),
  ])("cannot go to the authority %j (P3)", async (authority) => {
    const request = requestTo(fetching(() => Promise.resolve(answer)));
    expect(await thrownBy(() => request.setAuthority(authority))).toBeUndefined();
    expect(request.authority()).toBe("example.com");
  });

  test.each(["relative", "//\r\nX: y", "/a b", "/a#b", "/a\\b", "/ä", `/${"a".repeat(9_000)}`])(
    "cannot have the path %j",
    async (path) => {
      const request = requestTo(fetching(() => Promise.resolve(answer)));
      expect(await thrownBy(() => request.setPathWithQuery(path))).toBeUndefined();
    },
  );

  test("cannot have a method or a scheme that is none, nor go where no URL leads", async () => {
    const fetch = fetching(() => Promise.resolve(answer));
    const request = requestTo(fetch);
    expect(await thrownBy(() => request.setMethod({ tag: "other", val: "GET /\r\n" }))).toBeUndefined();
    expect(await thrownBy(() => request.setScheme({ tag: "other", val: "a:b" }))).toBeUndefined();
    request.setScheme({ tag: "other", val: "file" });
    expect(await thrownBy(() => fetch.handle(request))).toEqual({ tag: "HTTP-request-URI-invalid" });
    const nowhere = new fetch.OutgoingRequest(new fetch.Fields());
    expect(await thrownBy(() => fetch.handle(nowhere))).toEqual({ tag: "HTTP-request-URI-invalid" });
  });

  test("never reaches another host than its authority says, whatever the path", async () => {
    const fetch = fetching(() => Promise.resolve(answer));
    for (const path of ["//evil.example/", "/@evil.example", "?@evil.example/", "/:80@evil.example"]) {
      await responseOf(fetch.handle(requestTo(fetch, path)));
    }
    const hosts = fetch.asked.map((one) => new URL((one as [0, 0, 0, { url: string }])[3].url).hostname);
    expect(hosts).toEqual(["example.com", "example.com", "example.com", "example.com"]);
  });
});
