import { beforeAll, describe, expect, test } from "vitest";
import type { ByteSource } from "../../../src/byte-source.ts";
import { componentHttpLimits, componentLimits } from "../../../src/limits.ts";
import { decode, encode } from "../../../src/protocol/codec.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import type { ComponentCode } from "../../../src/wasm/components/admit-component.ts";
import { createComponentGuest } from "../../../src/wasm/components/component-guest.ts";
import type { ComponentHost } from "../../../src/wasm/components/world/component-host.ts";
import { bytesOf, guestHost, textOf, thrownBy } from "../../support/guest-host.ts";
import {
  helloHttpCode,
  httpGuest,
  type HttpHost,
  httpHost,
  readAll,
  sourceOf,
} from "../../support/http-guest.ts";

let code: ComponentCode;

beforeAll(async () => {
  code = await helloHttpCode();
});

const live = (host: ComponentHost) => httpGuest(code, host);

/** A source of so many bytes, which counts those that were read. */
function bytes(size: number): ByteSource & { readBytes: number } {
  return {
    readBytes: 0,
    async read(bytesMax) {
      const piece = Buffer.alloc(Math.min(bytesMax, size - this.readBytes), "x");
      this.readBytes += piece.length;
      return piece.length === 0 ? undefined : piece;
    },
    cancel() {},
  };
}

async function servedBody(at: HttpHost): Promise<{ first: Uint8Array; source: ByteSource }> {
  await expect.poll(() => at.answers).toHaveLength(1);
  const { body, stream } = at.answers[0] as { body?: Uint8Array; stream: string };
  const source = at.served.get(stream);
  if (source === undefined) throw new Error("the body is not served");
  return { first: body ?? new Uint8Array(0), source };
}

describe("hello-http, a component", () => {
  test("greets, echoes, and refuses what it does not know", async () => {
    const guest = live(httpHost().host);
    expect(await guest.ask({ method: "GET", path: "/" })).toEqual({
      status: 200,
      headers: [["content-type", "text/plain"]],
      body: new Uint8Array(bytesOf("Hello from a component.\n")),
    });
    expect(await guest.ask({ method: "POST", path: "/", body: bytesOf("abc") })).toEqual({
      status: 200,
      headers: [["content-type", "application/octet-stream"]],
      body: new Uint8Array(bytesOf("abc")),
    });
    expect(await guest.ask({ method: "BREW", path: "/" })).toMatchObject({ status: 405 });
  });

  test("echoes 5 MB and holds no more than its pipes at a time", async () => {
    const at = httpHost();
    const up = bytes(5_000_000);
    at.opened.set("n.up", up);
    const asked = live(at.host).ask({ method: "POST", path: "/", stream: "n.up" });
    const { first, source } = await servedBody(at);
    let down = first.length;
    let heldMax = 0;
    for (;;) {
      heldMax = Math.max(heldMax, up.readBytes - down);
      const piece = await source.read(65_536);
      if (piece === undefined) break;
      down += piece.length;
    }
    expect(down).toBe(5_000_000);
    expect(await asked).toBe("answered before");
    // What the pipe holds, the piece in the guest's hands, the one read ahead and the one just taken.
    expect(heldMax).toBeLessThanOrEqual(componentHttpLimits.pipeBytes + 3 * componentLimits.streamPieceBytes);
  });

  test("waits for its reader: unread, a body of any size is not read either", async () => {
    const at = httpHost();
    const up = bytes(1_000_000_000);
    at.opened.set("n.up", up);
    const asked = live(at.host).ask({ method: "POST", path: "/", stream: "n.up" });
    const { source } = await servedBody(at);
    await new Promise((resolve) => setImmediate(resolve));
    expect(up.readBytes).toBeLessThanOrEqual(
      componentHttpLimits.pipeBytes + 3 * componentLimits.streamPieceBytes,
    );
    source.cancel("the client hung up");
    expect(await asked).toBe("answered before");
  });

  test("breaks its answer when the body that it echoes breaks half way", async () => {
    const at = httpHost();
    const half = "x".repeat(componentHttpLimits.pipeBytes);
    at.opened.set("n.up", sourceOf(half, half, new Failure("COMMUNICATION_FAILURE", "the client hung up")));
    const asked = live(at.host).ask({ method: "POST", path: "/", stream: "n.up" });
    const { source } = await servedBody(at);
    expect(await thrownBy(() => readAll(source))).toMatchObject({ code: "GUEST_ERROR" });
    expect(await asked).toBe("answered before");
  });

  test("answers nothing at all when a small body breaks before its end", async () => {
    const at = httpHost();
    at.opened.set("n.up", sourceOf("ab", new Failure("COMMUNICATION_FAILURE", "the client hung up")));
    const guest = live(at.host);
    expect(await thrownBy(() => guest.ask({ method: "POST", path: "/", stream: "n.up" }))).toMatchObject({
      code: "GUEST_ERROR",
      message: "the guest gave this body up before its end",
    });
    expect(await guest.ask({ method: "GET", path: "/" })).toMatchObject({ status: 200 });
  });

  test("fetches what it was granted, and passes it on (R5.2, P10)", async () => {
    const asked: unknown[] = [];
    const at = httpHost({
      beginCapability: async (...[, , operation, payload]) => {
        asked.push(operation, decode(payload).value);
        return encode({ status: 203, headers: [["a", "1"]], body: bytesOf("found") }, "msgpack");
      },
    });
    const guest = live(at.host);
    const answer = await guest.ask({ method: "GET", path: "/fetch?url=http://example.com/a?b=c" });
    expect(answer).toMatchObject({ status: 203, body: new Uint8Array(bytesOf("found")) });
    expect(asked).toEqual([
      "request",
      { method: "GET", url: "http://example.com/a?b=c", headers: [], redirect: "manual" },
    ]);
    expect(await guest.ask({ method: "GET", path: "/fetch?url=gopher://x" })).toMatchObject({ status: 400 });
    expect(await guest.ask({ method: "GET", path: "/fetch?url=http://user@example.com" })).toMatchObject({
      status: 400,
    });
  });

  test.each(["in its answer", "at once"])("is told %s what it may not fetch (P3)", async (when) => {
    const denied = new Failure("PERMISSION_DENIED", "no http:request");
    const guest = live(
      httpHost(
        when === "at once"
          ? {
              capabilityFor: () => {
                throw denied;
              },
            }
          : { beginCapability: () => Promise.reject(denied) },
      ).host,
    );
    const answer = (await guest.ask({ method: "GET", path: "/fetch?url=http://example.com/" })) as {
      status: number;
      body: Uint8Array;
    };
    expect([answer.status, textOf(answer.body)]).toEqual([502, "It could not be fetched.\n"]);
  });

  test("handles 2,000 requests and holds nothing of them afterwards", async () => {
    const at = httpHost();
    const guest = live(at.host);
    for (let turn = 0; turn < 2_000; turn += 1) {
      await guest.ask({ method: "POST", path: "/", body: bytesOf("abc") });
    }
    expect(await guest.ask({ method: "GET", path: "/" })).toMatchObject({ status: 200 });
    // Of 1,024 things that it may hold, all are free again.
    const releases = Array.from({ length: componentLimits.resourcesMax }, () => at.host.hold(() => {}));
    for (const release of releases) release();
  });

  test("answers the operation http-request as any guest is called", async () => {
    const guest = createComponentGuest(code, guestHost());
    const answer = await guest.call("http-request", bytesOf('{"method":"GET","path":"/"}'));
    expect(textOf(answer)).toBe(
      '{"status":200,"headers":[["content-type","text/plain"]],"body":"Hello from a component.\\n"}',
    );
  });
});
