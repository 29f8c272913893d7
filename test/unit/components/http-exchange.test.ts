import { describe, expect, test } from "vitest";
import { componentHttpLimits } from "../../../src/limits.ts";
import { decode, encode } from "../../../src/protocol/codec.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { type HandleRequest, ResponseOutparam } from "../../../src/wasm/components/world/http-exchange.ts";
import { IncomingBody } from "../../../src/wasm/components/world/http-incoming.ts";
import { OutgoingBody, type OutgoingResponse } from "../../../src/wasm/components/world/http-outgoing.ts";
import { createHttpWorld, type HttpWorld } from "../../../src/wasm/components/world/http-world.ts";
import { bytesOf, textOf, thrownBy } from "../../support/guest-host.ts";
import { type HttpHost, httpHost, readAll, sourceOf, typesOf } from "../../support/http-guest.ts";

const worlds = new WeakMap<HttpHost, HttpWorld>();

/** The one world of the guest of that host. */
function worldOf(at: HttpHost): HttpWorld {
  const world = worlds.get(at) ?? createHttpWorld(at.host);
  worlds.set(at, world);
  return world;
}

/** A guest in JavaScript, called as a component's export would be. */
function guest(at: HttpHost, handle: HandleRequest) {
  const world = worldOf(at);
  return async (request: Record<string, unknown>, form: "msgpack" | "json" = "msgpack"): Promise<unknown> => {
    const answer = await world.incoming(encode(request, form), handle);
    return answer.length === 0 ? "answered before" : decode(answer).value;
  };
}

const get = { method: "GET", path: "/" };

/** What a guest does to answer, with what it needs of its world. */
function answering(
  at: HttpHost,
  write: (body: OutgoingBody) => Promise<void>,
  length?: string,
): HandleRequest {
  const { Fields, OutgoingResponse } = typesOf(worldOf(at));
  return async (_request, outparam) => {
    const headers = new Fields();
    if (length !== undefined) headers.append("content-length", bytesOf(length));
    const response: OutgoingResponse = new OutgoingResponse(headers);
    const body = response.body();
    ResponseOutparam.set(outparam, { tag: "ok", val: response });
    await write(body);
  };
}

async function writeAll(body: OutgoingBody, text: string): Promise<void> {
  const output = body.write();
  await output.blockingWriteAndFlush(bytesOf(text));
  output[Symbol.dispose]();
}

describe("a request", () => {
  test("comes to the guest with everything that the message says", async () => {
    const at = httpHost();
    at.opened.set("n.rest", sourceOf("cd", "e"));
    const seen: unknown[] = [];
    const ask = guest(at, async (request, outparam) => {
      seen.push(request.method(), request.scheme(), request.authority(), request.pathWithQuery());
      seen.push(
        request
          .headers()
          .entries()
          .map(([name, value]) => [name, textOf(value)]),
      );
      const body = request.consume();
      seen.push(await thrownBy(() => request.consume()));
      const input = body.stream();
      seen.push(await thrownBy(() => body.stream()));
      for (let turn = 0; turn < 3; turn += 1) seen.push(textOf(await input.blockingRead(100n)));
      seen.push(await thrownBy(() => input.blockingRead(100n)));
      const trailers = IncomingBody.finish(body);
      seen.push(trailers.subscribe().ready(), trailers.get(), trailers.get());
      ResponseOutparam.set(outparam, { tag: "err", val: { tag: "internal-error", val: "enough" } });
    });
    const request = {
      method: "PURGE",
      scheme: "https",
      authority: "example.com:8443",
      path: "/a?b=c",
      headers: [
        ["X-One", "1"],
        ["two", bytesOf("2")],
        ["Connection", "close"],
      ],
      body: bytesOf("ab"),
      stream: "n.rest",
    };
    expect(await thrownBy(() => ask(request))).toMatchObject({
      code: "GUEST_ERROR",
      message: "the guest answered with an error: internal-error: enough",
      details: { httpError: "internal-error" },
    });
    expect(seen).toEqual([
      { tag: "other", val: "PURGE" },
      { tag: "HTTPS" },
      "example.com:8443",
      "/a?b=c",
      [
        ["X-One", "1"],
        ["two", "2"],
      ],
      undefined,
      undefined,
      "ab",
      "cd",
      "e",
      { tag: "closed" },
      true,
      { tag: "ok", val: { tag: "ok", val: undefined } },
      { tag: "err", val: undefined },
    ]);
  });

  test("has headers that its guest cannot change", async () => {
    const at = httpHost();
    const ask = guest(at, async (request) => {
      const headers = request.headers();
      const refused = await thrownBy(() => headers.append("a", bytesOf("1")));
      expect(refused).toEqual({ tag: "immutable" });
      headers.clone().append("a", bytesOf("1"));
    });
    expect(await thrownBy(() => ask(get))).toMatchObject({ message: "the guest did not answer" });
  });

  test("may have 1,000 headers", async () => {
    const headers = Array.from({ length: 1_000 }, (_, index) => [`x-header-${index}`, "value"]);
    const at = httpHost();
    const seen: number[] = [];
    const ask = guest(at, async (request) => void seen.push(request.headers().entries().length));
    await thrownBy(() => ask({ ...get, headers }));
    expect(seen).toEqual([1_000]);
  });

  test("takes its authority from the host header where it has none", async () => {
    const at = httpHost();
    const seen: unknown[] = [];
    const ask = guest(at, async (request) => {
      seen.push(request.authority(), request.headers().has("host"));
    });
    await thrownBy(() => ask({ ...get, headers: [["Host", "example.com"]] }));
    expect(seen).toEqual(["example.com", false]);
  });

  test.each([
    ["no method", { path: "/" }, "method"],
    ["a method with a line end", { method: "GET / HTTP/1.1\r\nX: y", path: "/" }, "method"],
    ["a path with a line end", { method: "GET", path: "/ HTTP/1.1\r\nX: y" }, "path"],
    ["an authority with a user", { ...get, authority: "allowed@evil.example" }, "authority"],
    ["a header with a line end", { ...get, headers: [["a", "1\r\nb: 2"]] }, "headers"],
    ["a header beyond Latin-1", { ...get, headers: [["a", "€"]] }, "headers"],
    ["a header that is no pair", { ...get, headers: [["a"]] }, "headers"],
    ["90,000 headers", { ...get, headers: Array.from({ length: 16_000 }, () => ["a", "1"]) }, "headers"],
    ["headers that are too large", { ...get, headers: [["a", "1".repeat(70_000)]] }, "headers"],
    ["a body that is a number", { ...get, body: 1 }, "body"],
    ["a reference that is a map", { ...get, stream: {} }, "stream"],
    ["a field that there is not", { ...get, remote: "::1" }, '"remote"'],
  ])("with %s is refused before the guest hears of it (P18)", async (_what, request, field) => {
    const ask = guest(httpHost(), () => Promise.reject(new Error("the guest was called")));
    expect(await thrownBy(() => ask(request))).toMatchObject({ code: "INVALID_REQUEST", details: { field } });
  });

  test("whose body breaks half way tells its guest, with the case of wasi:http", async () => {
    const at = httpHost();
    at.opened.set("n.rest", sourceOf("ab", new Failure("COMMUNICATION_FAILURE", "the client hung up")));
    const { httpErrorCode } = worldOf(at).imports["wasi:http/types"] as {
      httpErrorCode: (error: unknown) => unknown;
    };
    const seen: unknown[] = [];
    const ask = guest(at, async (request) => {
      const input = request.consume().stream();
      seen.push(textOf(await input.blockingRead(10n)));
      const thrown = (await thrownBy(() => input.blockingRead(10n))) as { tag: string; val: unknown };
      seen.push(thrown.tag, httpErrorCode(thrown.val));
    });
    await thrownBy(() => ask({ method: "POST", path: "/", stream: "n.rest" }));
    expect(seen).toEqual(["ab", "last-operation-failed", { tag: "connection-terminated" }]);
  });

  test("whose body nobody reads lets go of its stream when it is answered", async () => {
    const at = httpHost();
    const source = sourceOf("ab");
    at.opened.set("n.rest", source);
    await guest(
      at,
      answering(at, async (body) => OutgoingBody.finish(body, undefined)),
    )({ method: "POST", path: "/", stream: "n.rest" });
    expect(source.cancels).toEqual(["the request that it belongs to was answered"]);
  });
});

describe("an answer", () => {
  test("travels in one message when it is finished within the call", async () => {
    const at = httpHost();
    const ask = guest(
      at,
      answering(at, async (body) => {
        await writeAll(body, "hello");
        OutgoingBody.finish(body, undefined);
      }),
    );
    expect(await ask(get)).toEqual({ status: 200, headers: [], body: new Uint8Array(bytesOf("hello")) });
    expect([at.answers, at.served.size]).toEqual([[], 0]);
  });

  test("in JSON is for people", async () => {
    const at = httpHost();
    const ask = guest(
      at,
      answering(at, async (body) => {
        await writeAll(body, "hällo");
        OutgoingBody.finish(body, undefined);
      }),
    );
    expect(await ask(get, "json")).toEqual({ status: 200, headers: [], body: "hällo" });
  });

  test("that nobody asked a body of has none", async () => {
    const at = httpHost();
    const { Fields, OutgoingResponse } = typesOf(worldOf(at));
    const ask = guest(at, async (_request, outparam) => {
      const response = new OutgoingResponse(new Fields());
      for (const none of [101, 600])
        expect(await thrownBy(() => response.setStatusCode(none))).toBeUndefined();
      response.setStatusCode(204);
      ResponseOutparam.set(outparam, { tag: "ok", val: response });
    });
    expect(await ask(get)).toEqual({ status: 204, headers: [] });
  });

  test("larger than a message goes ahead of its end, at the pace of its reader", async () => {
    const at = httpHost();
    const text = "x".repeat(3 * componentHttpLimits.pipeBytes);
    let isWritten = false;
    const ask = guest(
      at,
      answering(at, async (body) => {
        await writeAll(body, text);
        isWritten = true;
        OutgoingBody.finish(body, undefined);
      }),
    );
    const asked = ask(get);
    await expect.poll(() => at.answers).toHaveLength(1);
    const { body, stream } = at.answers[0] as { body: Uint8Array; stream: string };
    expect({ isWritten, size: body.length, stream }).toEqual({
      isWritten: false,
      size: componentHttpLimits.pipeBytes,
      stream: "m.1",
    });
    const source = at.served.get(stream);
    const rest = source === undefined ? Buffer.alloc(0) : await readAll(source);
    expect(body.length + rest.length).toBe(text.length);
    expect(await asked).toBe("answered before");
  });

  test("that takes its time begins without its end", async () => {
    const at = httpHost();
    const { promise: later, resolve: goOn } = Promise.withResolvers<void>();
    const ask = guest(
      at,
      answering(at, async (body) => {
        await writeAll(body, "data: 1\n\n");
        await later;
        OutgoingBody.finish(body, undefined);
      }),
    );
    const asked = ask(get);
    await Promise.resolve();
    at.passTime();
    expect(at.answers).toEqual([
      { status: 200, headers: [], body: new Uint8Array(bytesOf("data: 1\n\n")), stream: "m.1" },
    ]);
    goOn();
    expect(await asked).toBe("answered before");
    expect(await at.served.get("m.1")?.read(1)).toBeUndefined();
  });

  test("that ends early is none, and never looks whole", async () => {
    const at = httpHost();
    const ask = guest(
      at,
      answering(at, async (body) => {
        await writeAll(body, "half");
        body[Symbol.dispose]();
      }),
    );
    const failure = { code: "GUEST_ERROR", message: "the guest gave this body up before its end" };
    expect(await thrownBy(() => ask(get))).toMatchObject(failure);
  });

  test.each([
    [
      "gives it up",
      (body: OutgoingBody) => body[Symbol.dispose](),
      "the guest gave this body up before its end",
    ],
    ["forgets it", () => {}, "the guest ended before the body of its answer did"],
  ])("breaks for its reader when the guest %s after it began", async (_what, end, message) => {
    const at = httpHost();
    const ask = guest(
      at,
      answering(at, async (body) => {
        await writeAll(body, "half");
        at.passTime();
        end(body);
      }),
    );
    expect(await ask(get)).toBe("answered before");
    const source = at.served.get("m.1");
    expect(await thrownBy(() => source?.read(10))).toMatchObject({ code: "GUEST_ERROR", message });
  });

  test("breaks for its reader when the guest traps", async () => {
    const at = httpHost();
    const trap = new WebAssembly.RuntimeError("unreachable");
    const ask = guest(
      at,
      answering(at, async () => {
        at.passTime();
        throw trap;
      }),
    );
    expect(await thrownBy(() => ask(get))).toBe(trap);
    expect(await thrownBy(() => at.served.get("m.1")?.read(10))).toMatchObject({ code: "GUEST_ERROR" });
  });

  test("breaks for its reader when the guest's life ends", async () => {
    const at = httpHost();
    const never = Promise.withResolvers<void>();
    const asked = guest(
      at,
      answering(at, async (body) => {
        await writeAll(body, "half");
        await never.promise;
      }),
    )(get);
    await Promise.resolve();
    at.passTime();
    at.host.dispose();
    asked.catch(() => undefined);
    expect(await thrownBy(() => at.served.get("m.1")?.read(10))).toMatchObject({ code: "GUEST_TRAPPED" });
  });

  test("whose reader hangs up fails the guest's next write", async () => {
    const at = httpHost();
    const seen: unknown[] = [];
    const ask = guest(
      at,
      answering(at, async (body) => {
        const output = body.write();
        await output.blockingWriteAndFlush(bytesOf("ab"));
        at.passTime();
        at.served.get("m.1")?.cancel("the client hung up");
        seen.push(
          ((await thrownBy(() => output.blockingWriteAndFlush(bytesOf("cd")))) as { tag: string }).tag,
        );
        seen.push(await thrownBy(() => output.blockingWriteAndFlush(bytesOf("cd"))));
        OutgoingBody.finish(body, undefined);
      }),
    );
    expect(await ask(get)).toBe("answered before");
    expect(seen).toEqual(["last-operation-failed", { tag: "closed" }]);
  });

  test("of another length than it said is an error for its guest and for its reader", async () => {
    const at = httpHost();
    const seen: unknown[] = [];
    const handle = answering(
      at,
      async (body) => {
        await writeAll(body, "four");
        seen.push(await thrownBy(() => OutgoingBody.finish(body, undefined)));
      },
      "5",
    );
    expect(await thrownBy(() => guest(at, handle)(get))).toMatchObject({
      code: "GUEST_ERROR",
      message: "the guest wrote 4 bytes of a body of 5",
    });
    expect(seen).toEqual([{ tag: "HTTP-response-body-size", val: 4n }]);
  });

  test("to HEAD says the length of what GET would have had", async () => {
    const at = httpHost();
    const ask = guest(
      at,
      answering(at, async (body) => OutgoingBody.finish(body, undefined), "5"),
    );
    const request = { method: "HEAD", path: "/" };
    expect(await thrownBy(() => ask(get))).toEqual({ tag: "HTTP-response-body-size", val: 0n });
    expect(await ask(request)).toEqual({ status: 200, headers: [["content-length", "5"]] });
  });

  test("set twice, or after its call, ends the guest", async () => {
    const at = httpHost();
    let kept: ResponseOutparam | undefined;
    const error = { tag: "err", val: { tag: "loop-detected" } } as const;
    const ask = guest(at, async (_request, outparam) => {
      kept = outparam;
      ResponseOutparam.set(outparam, error);
      ResponseOutparam.set(outparam, error);
    });
    expect(await thrownBy(() => ask(get))).toMatchObject({ name: "GuestFault" });
    expect(await thrownBy(() => kept && ResponseOutparam.set(kept, error))).toMatchObject({
      name: "GuestFault",
    });
  });

  test("is missing where the guest set none", async () => {
    const ask = guest(httpHost(), async () => {});
    expect(await thrownBy(() => ask(get))).toMatchObject({
      code: "GUEST_ERROR",
      message: "the guest did not answer",
    });
  });

  test("cannot be written beyond what is held before it is set", async () => {
    const at = httpHost();
    const { Fields, OutgoingResponse } = typesOf(worldOf(at));
    const seen: unknown[] = [];
    const ask = guest(at, async () => {
      const output = new OutgoingResponse(new Fields()).body().write();
      const text = bytesOf("x".repeat(componentHttpLimits.pipeBytes + 1));
      seen.push(((await thrownBy(() => output.blockingWriteAndFlush(text))) as { tag: string }).tag);
    });
    await thrownBy(() => ask(get));
    expect(seen).toEqual(["last-operation-failed"]);
  });

  test("is refused when too many bodies of the guest are being read", async () => {
    const at = httpHost();
    const ask = guest(
      at,
      answering(at, async (body) => {
        await writeAll(body, "x");
        at.passTime();
        OutgoingBody.finish(body, undefined);
      }),
    );
    for (let turn = 0; turn < componentHttpLimits.bodiesServedMax; turn += 1) await ask(get);
    expect(await thrownBy(() => ask(get))).toMatchObject({ code: "RESOURCE_EXHAUSTED", retry: "later" });
    for (const source of at.served.values()) expect((await readAll(source)).toString()).toBe("");
    expect(await ask(get)).toBe("answered before");
  });
});
