import fc from "fast-check";

const digest = `sha256:${"a".repeat(64)}`;

/** Texts that something takes: ids, digests, references, permissions, topics, times, hosts. */
export const goodTexts = [
  "default",
  "node-1",
  "i-1",
  "kv",
  "wapc",
  "store",
  "get",
  "memory",
  "a".repeat(64),
  digest,
  `sha256:${"0123456789abcdef".repeat(4)}`,
  "oci://registry.example.com:5000/team/guest:1.0",
  `registry.example.com/guest@${digest}`,
  "2026-01-02T03:04:05.678Z",
  "aGVsbG8=",
  "AGFzbQEAAAA=",
  "kv:read",
  "kv:write:cart/",
  "http:request",
  "http:domain:*.example.com",
  "msg:publish:orders.>",
  "msg:subscribe:orders.*",
  "blob:read",
  "call:greeter:hello",
  "clock:*",
  "http-server:serve",
  "orders.eu.1",
  "orders.>",
  "api.example.com",
  "1.0",
  "guest.dreamt",
  "0123456789abcdef",
  "",
] as const;

/** Texts that break something somewhere. */
export const nastyTexts = [
  "*",
  ">",
  "a.b",
  "a..b",
  ".",
  " ",
  "\t",
  "a\r\nPUB wasmatrix.ctl 2\r\n{}\r\n",
  "\0",
  "\u00a0",
  "\u2028",
  "\u200b",
  "\u202e\u0635",
  "\ufeff",
  "é",
  "a".repeat(65),
  "a".repeat(70_000),
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "$SYS.REQ.SERVER.PING",
  "$JS.API.STREAM.CREATE.x",
  "_INBOX.abc",
  "wasmatrix.ctl.v1.default.instance.stop",
  "../../etc/passwd",
  "..%2f",
  "\u001b[2J\u001b]0;x\u0007",
  `sha256:${"A".repeat(64)}`,
  `sha256:${"a".repeat(63)}`,
  "http://allowed@127.0.0.1/",
  "[::ffff:127.0.0.1]",
  "2130706433",
  "${jndi:ldap://x}",
  "kv:read:",
  "msg:publish:>",
  "call:*",
  "http:domain:*",
] as const;

const pieces = fc.constantFrom(
  ...".:/*>@-_?#%[]\\ \t\r\n\0$'\"`{}<&=+,;|~^".split(""),
  "a",
  "Z",
  "0",
  "é",
  "\u202e",
  "\u200b",
  "xn--",
  "127",
  "sha256:",
  "oci://",
  "http://",
  "msg:",
  "kv:read:",
);

/** Any text, most of them such as something takes or nearly takes. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<string>(...goodTexts) },
  { weight: 3, arbitrary: fc.constantFrom<string>(...nastyTexts) },
  { weight: 4, arbitrary: fc.array(pieces, { maxLength: 24 }).map((parts) => parts.join("")) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom<string>(...goodTexts), fc.nat(), pieces, fc.nat({ max: 3 }))
      .map(([text, at, piece, count]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + piece + text.slice(place + count);
      }),
  },
  { weight: 2, arbitrary: fc.string({ unit: "binary" }) },
);
