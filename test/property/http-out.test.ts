import { createServer } from "node:http";
import { BlockList } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addressClass } from "../../src/capabilities/http/addresses.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { type CountingServer, httpLab, listening, textOf } from "../integration/http-out-lab.ts";

const runs = { numRuns: 300 };

/** What arrived at the server since the last look. */
const arrived: { host: string | undefined; rawHeaders: string[] }[] = [];
let server: CountingServer;

beforeAll(async () => {
  const listener = createServer((request, response) => {
    arrived.push({ host: request.headers.host, rawHeaders: request.rawHeaders });
    response.end("here");
  });
  // On every address of this machine, so that nothing can miss it.
  server = await listening(listener, "http", "0.0.0.0");
});
afterAll(() => server[Symbol.asyncDispose]());

/** A part of an IPv4 address as inet_aton reads it. */
const number = (value: number) =>
  fc.constantFrom(
    String(value),
    `0x${value.toString(16)}`,
    `0X${value.toString(16).toUpperCase()}`,
    `0x000${value.toString(16)}`,
    `0${value.toString(8)}`,
    `0000${value.toString(8)}`,
  );

/** Digits and dots that IDNA makes plain ones: circled, full-width, of other scripts' keyboards. */
const disguised = (text: string) =>
  fc
    .array(fc.integer({ min: 0, max: 3 }), { minLength: text.length, maxLength: text.length })
    .map((ways) => Array.from(text, (character, index) => disguise(character, ways[index] ?? 0)).join(""));

function disguise(character: string, way: number): string {
  const digit = character >= "0" && character <= "9" ? Number(character) : undefined;
  if (way === 1) return `%${character.charCodeAt(0).toString(16)}`;
  if (way === 2 && digit !== undefined) return digit === 0 ? "⓪" : String.fromCodePoint(0x2460 + digit - 1);
  if (way === 3 && digit !== undefined) return String.fromCodePoint(0xff10 + digit);
  if (way >= 2 && character === ".") return way === 2 ? "。" : "．";
  return character;
}

type V4 = [number, number, number, number];

/** Four, three, two parts or one, each in any base. */
const spelledV4 = ([a, b, c, d]: V4) =>
  fc
    .constantFrom(
      [a, b, c, d],
      [a, b, c * 256 + d],
      [a, (b * 256 + c) * 256 + d],
      [((a * 256 + b) * 256 + c) * 256 + d],
    )
    .chain((parts) => fc.tuple(...parts.map(number)))
    .chain((parts) => disguised(parts.join(".")));

const hex = (high: number, low: number) => (high * 256 + low).toString(16);

const spelledV6 = ([a, b, c, d]: V4) =>
  fc.constantFrom(
    `[::ffff:${a}.${b}.${c}.${d}]`,
    `[::FFFF:${hex(a, b)}:${hex(c, d)}]`,
    `[0:0:0:0:0:ffff:${hex(a, b)}:${hex(c, d)}]`,
    `[64:ff9b::${hex(a, b)}:${hex(c, d)}]`,
    `[::${hex(a, b)}:${hex(c, d)}]`,
    `[2002:${hex(a, b)}:${hex(c, d)}::]`,
    "[::1]",
    "[0000:0000::0001]",
    "[::]",
  );

const byte = fc.integer({ min: 0, max: 255 });
const loopback: fc.Arbitrary<V4> = fc.oneof(
  fc.constant<V4>([127, 0, 0, 1]),
  fc.tuple(fc.constant(127), byte, byte, byte),
  fc.tuple(fc.constant(0), byte, byte, byte),
);
const spelled = loopback.chain((address) => fc.oneof(spelledV4(address), spelledV6(address)));

describe("R14.4 R2.3: requests stay where they were granted", () => {
  test("P3: for any spelling of an address of this machine, nothing connects without http:private", async () => {
    await using lab = httpLab({ permissions: ["http:request"] });
    const before = server.connections;
    await fc.assert(
      fc.asyncProperty(spelled, async (host) => {
        expect((await lab.refused({ url: `http://${host}:${server.port}/` })).code).toBe("PERMISSION_DENIED");
        expect(server.connections).toBe(before);
      }),
      runs,
    );
  });

  test("with http:private the same spellings lead to this machine: the property above is about something", async () => {
    await using lab = httpLab();
    await fc.assert(
      fc.asyncProperty(spelledV4([127, 0, 0, 1]), async (host) => {
        expect(textOf(await lab.ask({ url: `http://${host}:${server.port}/` }))).toBe("here");
      }),
      { numRuns: 100 },
    );
  });

  test("P3: whatever else a name leads to, one address inside is one too many", async () => {
    const inside = fc.constantFrom(
      "127.0.0.1",
      "127.8.9.10",
      "::1",
      "::ffff:127.0.0.1",
      "0.0.0.0",
      "10.0.0.1",
      "fe80::1%lo",
    );
    const outside = fc.constantFrom("93.184.215.14", "2606:4700::1");
    let answers: string[] = [];
    await using lab = httpLab({
      permissions: ["http:domain:name.example"],
      resolve: async () => answers.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    });
    const before = server.connections;
    await fc.assert(
      fc.asyncProperty(fc.array(outside), inside, fc.array(outside), async (first, one, last) => {
        answers = [...first, one, ...last];
        const failure = await lab.refused({ url: `http://name.example:${server.port}/` });
        expect(failure.code).toBe("PERMISSION_DENIED");
        expect(failure.message).not.toContain(one);
        expect(server.connections).toBe(before);
      }),
      runs,
    );
  });

  test("P4: for any text made of a granted host and what separates parts of a URL, only that host is asked", async () => {
    const separators = [
      "http:",
      "https:",
      "//",
      "/",
      "\\",
      "@",
      ":",
      "#",
      "?",
      ".",
      "%2e",
      "%40",
      "%2f",
      " ",
      "\t",
      "\n",
      "。",
    ];
    const hosts = [
      "good.example",
      "evil.example",
      "127.0.0.1",
      "localhost",
      "xn--",
      "*",
      "GOOD.example",
      "user",
      "[::1]",
    ];
    const part = fc.constantFrom(...separators, ...hosts);
    const text = fc
      .array(fc.oneof(part, fc.constant("PORT")), { maxLength: 12 })
      .map((parts) => parts.join(""));
    const url = fc.oneof(
      text,
      text.map((rest) => `http://${rest}`),
      text.map((rest) => `http://good.example:PORT/${rest}`),
      fc.tuple(text, text).map(([host, rest]) => `http://${host}good.example${rest}:PORT/`),
    );
    await using lab = httpLab({
      permissions: ["http:domain:good.example", "http:private"],
      resolve: async () => [{ address: "127.0.0.1", family: 4 }],
    });
    arrived.length = 0;
    await fc.assert(
      fc.asyncProperty(url, async (shape) => {
        const outcome = await lab
          .ask({ url: shape.replaceAll("PORT", String(server.port)), timeoutMs: 5_000 })
          .catch((error: unknown) => error);
        if (outcome instanceof Failure) {
          // A granted host on a port where nobody listens is a connection that failed.
          expect(["INVALID_REQUEST", "PERMISSION_DENIED", "COMMUNICATION_FAILURE"]).toContain(outcome.code);
        }
        for (const { host } of arrived.splice(0)) expect(host).toBe(`good.example:${server.port}`);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("R13.5: headers arrive as they were given, or not at all", () => {
  const name = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/),
    fc.constantFrom("Host", "content-length", "x-forwarded-for", "Transfer-Encoding", "__proto__", "a\r\nb"),
  );
  const value = fc.oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.string({ maxLength: 20 }),
    fc.constantFrom("a\r\nX-Injected: 1", "a\r\n\r\nGET /2 HTTP/1.1\r\nHost: x", "\0", "\u010d\u010a"),
    fc.uint8Array({ maxLength: 20 }),
  );

  test("P18: for any headers the request is refused, or the server sees these and no others", async () => {
    await using lab = httpLab();
    arrived.length = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 6 }), async (headers) => {
        const own = (key: string) => headers.some(([given]) => given.toLowerCase() === key);
        const outcome = await lab
          .ask({ url: `http://127.0.0.1:${server.port}/`, headers })
          .catch((error: unknown) => error);
        const seen = arrived.splice(0);
        if (outcome instanceof Failure) {
          expect([outcome.code, seen]).toEqual(["INVALID_REQUEST", []]);
          return;
        }
        const sent = [
          "host",
          `127.0.0.1:${server.port}`,
          "connection",
          "keep-alive",
          ...headers.flatMap(([key, text]) => [
            key,
            Buffer.from(text as string, "latin1")
              .toString("latin1")
              .trim(),
          ]),
          ...(own("accept-encoding") ? [] : ["accept-encoding", "identity"]),
          ...(own("user-agent") ? [] : ["user-agent", "wasmatrix"]),
        ];
        expect(seen.map(({ rawHeaders }) => rawHeaders.map((text) => text.trim()))).toEqual([sent]);
      }),
      { numRuns: 500 },
    );
  });
});

describe("R14: which addresses are of the Internet", () => {
  const special = new BlockList();
  for (const [network, bits] of [
    ["0.0.0.0", 8],
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.0.0.0", 24],
    ["192.0.2.0", 24],
    ["192.168.0.0", 16],
    ["198.18.0.0", 15],
    ["198.51.100.0", 24],
    ["203.0.113.0", 24],
    ["224.0.0.0", 3],
  ] as const) {
    special.addSubnet(network, bits, "ipv4");
  }

  test("no IPv4 address of the special-purpose registry (RFC 6890) is public, in IPv6 neither", () => {
    const near = fc.constantFrom(
      0,
      9,
      10,
      11,
      99,
      100,
      126,
      127,
      128,
      169,
      172,
      192,
      198,
      203,
      223,
      224,
      255,
    );
    fc.assert(
      fc.property(near, fc.oneof(near, byte), byte, byte, (a, b, c, d) => {
        const text = `${a}.${b}.${c}.${d}`;
        const isSpecial = special.check(text, "ipv4");
        if (isSpecial) expect(addressClass(text)).not.toBe("public");
        expect(addressClass(`::ffff:${text}`)).toBe(addressClass(text));
        expect(addressClass(`64:ff9b::${text}`)).toBe(addressClass(text));
        expect(addressClass(`2002:${hex(a, b)}:${hex(c, d)}::`)).toBe("never");
        expect(addressClass(`::${text}`)).not.toBe("public");
      }),
      { numRuns: 1_000 },
    );
  });

  test("of IPv6 only 2000::/3 is public", () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const address = groups.map((one) => one.toString(16)).join(":");
        if (addressClass(address) === "public") expect((groups[0] ?? 0) >> 13).toBe(1);
      }),
      { numRuns: 1_000 },
    );
    expect(
      ["2606:4700::1", "fec0::1", "fc00::1", "fe80::1", "nonsense", "", "1.2.3"].map(addressClass),
    ).toEqual(["public", "never", "private", "private", "never", "never", "never"]);
  });
});
