import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeResponse,
} from "../../src/wasm/components/world/http-messages.ts";
import {
  type HttpScheme,
  isAuthority,
  isPathWithQuery,
  urlOf,
} from "../../src/wasm/components/world/http-targets.ts";

const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/);
const ofConnection =
  /^(?:connection|expect|host|http2-settings|keep-alive|proxy-.*|te|transfer-encoding|upgrade)$/i;
const name = token.filter((text) => !ofConnection.test(text));
const value = fc
  .uint8Array({ maxLength: 40 })
  .map((bytes) => bytes.map((byte) => (byte < 0x20 || byte === 0x7f ? 0x20 : byte)));
const headers = fc.array(fc.tuple(name, value), { maxLength: 20 });

describe("P16: an HTTP message", () => {
  test("of a guest comes back as it went, in MessagePack", () => {
    const body = fc.option(fc.uint8Array({ minLength: 1 }), { nil: undefined });
    const stream = fc.option(fc.stringMatching(/^[a-z]{1,20}\.[a-z0-9]{20}$/), { nil: undefined });
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 999 }), headers, body, stream, (...parts) => {
        const [status, pairs, bodyBytes, ref] = parts;
        const list = pairs.map(([text, bytes]) => ({ name: text, key: text.toLowerCase(), value: bytes }));
        const message = { status, headers: list, body: bodyBytes, stream: ref };
        const decoded = decodeResponse(encodeResponse(message, "msgpack"));
        expect({
          ...decoded,
          headers: decoded.headers.map((one) => ({ ...one, value: [...one.value] })),
        }).toEqual({
          ...message,
          headers: list.map((one) => ({ ...one, value: [...one.value] })),
        });
      }),
      { numRuns: 200 },
    );
  });

  test("that is anything at all is taken or refused with INVALID_REQUEST", () => {
    const field = fc.oneof(fc.anything({ withNullPrototype: false }), fc.string(), headers);
    const map = fc.dictionary(
      fc.constantFrom("method", "scheme", "authority", "path", "headers", "body", "stream", "status", "x"),
      field,
    );
    const bytes = fc.oneof(
      fc.uint8Array(),
      map.map((one) => {
        try {
          return encode(one, "msgpack");
        } catch {
          return new Uint8Array(0);
        }
      }),
    );
    fc.assert(
      fc.property(bytes, (payload) => {
        for (const read of [decodeRequest, decodeResponse]) {
          try {
            read(payload);
          } catch (error) {
            expect(error).toBeInstanceOf(Failure);
            expect(error).toMatchObject({ code: "INVALID_REQUEST" });
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("P3: a request to elsewhere", () => {
  test("goes to the host that its authority names, whatever the guest makes of its parts", () => {
    const character = fc.constantFrom(..."aB1.-_:@/?#\\%[]&= \t\r\n\0é".split(""));
    const text = fc.string({ unit: character, maxLength: 30 });
    const port = fc.integer({ min: 0, max: 65_535 }).map((number) => `:${number}`);
    const suffix = fc.oneof(fc.constant(""), port, text);
    const authority = fc.tuple(fc.domain(), suffix).map(([domain, rest]) => domain + rest);
    const path = fc.oneof(
      text.map((rest) => `/${rest}`),
      fc.webPath(),
      text,
    );
    const scheme = fc.constantFrom<HttpScheme>({ tag: "HTTP" }, { tag: "HTTPS" });
    let sent = 0;
    fc.assert(
      fc.property(scheme, fc.oneof(authority, text), path, (over, to, at) => {
        if (!isAuthority(to) || !isPathWithQuery(at) || at === "*") return;
        const url = urlOf(over, to, at);
        // What is no URL is refused by the provider; an address in numbers has one spelling of many in a URL.
        if (!URL.canParse(url) || /^[\d.xa-f]*(?::|$)/i.test(to)) return;
        sent += 1;
        const { hostname, protocol, username, password, hash } = new URL(url);
        expect({ hostname, protocol, username, password, hash }).toEqual({
          hostname: to.split(":")[0]?.toLowerCase(),
          protocol: over.tag === "HTTP" ? "http:" : "https:",
          username: "",
          password: "",
          hash: "",
        });
      }),
      { numRuns: 2_000 },
    );
    expect(sent).toBeGreaterThan(100);
  });
});
