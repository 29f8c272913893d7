import fc from "fast-check";
import { addressClass } from "../../../../src/capabilities/http/addresses.ts";
import { refusal } from "../../../../src/capabilities/http/connect.ts";
import { answerHeaders, readHeaders } from "../../../../src/capabilities/http/headers.ts";
import { redirectedHop } from "../../../../src/capabilities/http/redirects.ts";
import { assertPermitted, readTarget } from "../../../../src/capabilities/http/target.ts";
import { httpClientLimits } from "../../../../src/limits.ts";
import { permissionSet } from "../../../../src/protocol/permissions.ts";
import { holds, takenOrRefused } from "../expect.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

const host = fc.oneof(
  fc.constantFrom(
    ..."api.example.com evilapi.example.com.evil.com xn--80ak6aa92e.example.com 127.0.0.1 0x7f.1 0177.1 [::1]".split(
      " ",
    ),
    ..."[::ffff:7f00:1] 2130706433 169.254.169.254 localhost a.localhost ①②⑦.⓪.⓪.① api.example.com. %61pi.example.com".split(
      " ",
    ),
  ),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
  fc.domain(),
  anyText,
);
const goodUrl = fc
  .tuple(
    fc.constantFrom("http://", "https://"),
    fc.oneof(fc.domain(), fc.constantFrom("api.example.com")),
    fc.webPath(),
  )
  .map((parts) => parts.join(""));
const url = fc.oneof(
  goodUrl,
  fc
    .tuple(
      fc.constantFrom(
        "http://",
        "https://",
        "//",
        "http:",
        "HTTP://",
        "http:\\\\",
        "file://",
        "data:",
        "https://api.example.com@",
        "ws://",
      ),
      host,
      fc.constantFrom("", ":80", ":443", ":22", ":6379", ":4222", ":0", ":99999", ":8080"),
      fc.oneof(fc.constantFrom("/", "/a?b#c", "/..", ""), anyText),
    )
    .map((parts) => parts.join("")),
  anyText,
);
const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.ipV4Extended(),
  fc.tuple(fc.ipV6(), anyText).map(([a, b]) => `${a}%${b}`),
  anyText,
);
const headerList = fc.oneof(
  fc.array(
    fc.tuple(
      fc.oneof(fc.constantFrom("Host", "host", "TE", "Accept", "Proxy-X", "X-Forwarded-For"), anyText),
      anyText,
    ),
    { maxLength: 6 },
  ),
  fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 4 }),
  fc.dictionary(anyText, anyText),
  fc.jsonValue({ maxDepth: 2 }),
);

interface Case {
  readonly url: string;
  readonly location: string;
  readonly status: number;
  readonly address: string;
  readonly headers: unknown;
}

const codes = [
  "INVALID_REQUEST",
  "RESOURCE_EXHAUSTED",
  "PERMISSION_DENIED",
  "COMMUNICATION_FAILURE",
] as const;
const permissions = permissionSet("http", ["http:domain:*.example.com", "http:domain:api.example.com"]);

/** The rules of requests to the outside: URLs, addresses, headers and redirects. */
export const target = fuzzTarget<Case>({
  name: "http-out-rules",
  weight: 1,
  arbitrary: fc.record({
    url,
    location: url,
    status: fc.constantFrom(200, 301, 302, 303, 307, 308),
    address,
    headers: headerList,
  }),
  check({ url, location, status, address, headers }) {
    const target = takenOrRefused(codes, () => readTarget(url, httpClientLimits));
    const kind = addressClass(address);
    const closed = refusal([address], "api.example.com", { allowPrivate: false });
    holds((closed === undefined) === (kind === "public"), `${address} is ${kind}`);
    const read = takenOrRefused(codes, () => readHeaders(headers, httpClientLimits)) ?? [];
    for (const [name, value] of read)
      holds(
        !/[\r\n\0]/.test(name + value) &&
          !/^(?:host|te|connection|transfer-encoding|content-length|upgrade|expect|proxy-.*)$/i.test(name),
        `the header ${name} passed`,
      );
    takenOrRefused(codes, () => answerHeaders(read.flat(), httpClientLimits));
    if (target === undefined) return false;
    holds(target.username === "" && target.password === "", "a URL with a user passed");
    takenOrRefused(codes, () => {
      assertPermitted(permissions, target, "i-1");
      holds(target.hostname === "api.example.com" || target.hostname.endsWith(".example.com"), target.href);
    });
    const hop = { method: "POST", url: target, headers: read, hasBody: true };
    const next = takenOrRefused(codes, () => redirectedHop(hop, { status, location }, httpClientLimits));
    if (next !== undefined) holds(/^https?:$/.test(next.url.protocol), `a redirect to ${next.url.href}`);
    return true;
  },
});
