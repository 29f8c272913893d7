import type { IncomingMessage } from "node:http";
import fc from "fast-check";
import { decodeAnswer, readAnswer } from "../../../../src/capabilities/http-server/answer.ts";
import { Refusal } from "../../../../src/capabilities/http-server/refusal.ts";
import { readHead } from "../../../../src/capabilities/http-server/request-head.ts";
import { createRoutes } from "../../../../src/capabilities/http-server/routes.ts";
import { systemClock } from "../../../../src/clock.ts";
import { encode } from "../../../../src/protocol/codec.ts";
import { holds, takenOrRefused } from "../expect.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

const path = fc.oneof(
  fc.constantFrom(
    "/",
    "/a",
    "/a/../b",
    "/%2e%2e/b",
    "//x",
    "/a%00",
    "/a?x=/../y",
    "/a/./b",
    "http://h/x",
    "*",
  ),
  anyText.map((text) => `/${text}`),
  anyText,
);
const fieldName = fc.oneof(
  fc.constantFrom(
    "Host",
    "host",
    "Connection",
    "X-A",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Via",
    "TE",
    "traceparent",
    "Nats-Msg-Id",
    "Wasmatrix-Error-Code",
  ),
  anyText,
);
const goodHeaders = fc.constantFrom(
  ["Host", "h"],
  ["Host", "a.example:80", "Connection", "x-a, close", "X-A", "1"],
  ["Host", "h", "X-Forwarded-For", "1.2.3.4", "traceparent", "00-1-2-3"],
);
const anyHeaders = fc
  .array(fc.tuple(fieldName, fc.oneof(fc.constantFrom("h", "a.example:80", "x-a, close"), anyText)), {
    maxLength: 8,
  })
  .map((pairs) => pairs.flat());
const answer = fc.record(
  {
    status: fc.constantFrom<unknown>(200, 204, 304, 404, 599, 100, 199, 600, 20.5, "200", null, -1),
    headers: fc.oneof(
      fc.array(fc.tuple(fieldName, fc.oneof(anyText, fc.uint8Array({ maxLength: 9 }))), { maxLength: 5 }),
      fc.jsonValue({ maxDepth: 2 }),
    ),
    body: fc.oneof(
      anyText,
      fc.uint8Array({ maxLength: 30 }),
      fc.record({ base64: anyText }),
      fc.jsonValue({ maxDepth: 2 }),
    ),
    stream: anyText,
  },
  { requiredKeys: ["status"], noNullPrototype: true },
);
const config = fc.dictionary(fc.constantFrom("path", "host", "methods", "x"), anyText);

interface Case {
  readonly url: string;
  readonly rawHeaders: readonly string[];
  readonly trustsProxy: boolean;
  readonly answer: object;
  readonly form: "json" | "msgpack";
  readonly configs: readonly Record<string, string>[];
}

/** The rules of requests from outside: targets, hosts, fields, routes from grants, and answers of guests. */
export const target = fuzzTarget<Case>({
  name: "http-server-rules",
  weight: 0.7,
  arbitrary: fc.record({
    url: path,
    rawHeaders: fc.oneof(goodHeaders, anyHeaders),
    trustsProxy: fc.boolean(),
    answer,
    form: fc.constantFrom("json" as const, "msgpack" as const),
    configs: fc.array(config, { maxLength: 3 }),
  }),
  check({ url, rawHeaders, trustsProxy, answer, form, configs }) {
    const head = headOf(url, rawHeaders, trustsProxy);
    const routes = createRoutes({ lattice: "default", clock: systemClock, warn: () => {} }, []);
    routes.granted(
      configs.map((config, index) => ({
        lattice: "default",
        instanceId: `i-${index}`,
        name: `n-${index}`,
        config,
        permissions: ["http-server:serve"],
        nodeId: "n1",
        incarnation: 1,
        capabilityId: "web",
      })),
    );
    holds(routes.size <= configs.length, "more routes than grants");
    if (head !== undefined) routes.find(head.host, head.barePath, head.head.method);
    checkAnswer(answer, form);
    return head !== undefined;
  },
});

function headOf(url: string, rawHeaders: readonly string[], trustsProxy: boolean) {
  const headers: Record<string, string> = Object.create(null) as never;
  for (let at = 0; at < rawHeaders.length; at += 2)
    headers[(rawHeaders[at] ?? "").toLowerCase()] = rawHeaders[at + 1] ?? "";
  const socket = { remoteAddress: "127.0.0.1" };
  const request = { url, rawHeaders, headers, method: "GET", socket } as unknown as IncomingMessage;
  try {
    const head = readHead(request, trustsProxy);
    holds(
      head.barePath.startsWith("/") && !head.barePath.startsWith("//"),
      `the path ${head.barePath} passed`,
    );
    holds(
      head.barePath.split("/").every((part) => part !== ".." && part !== "."),
      `the path ${head.barePath} passed`,
    );
    return head;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    holds(error.message.length < 200, "a refusal at length");
    return undefined;
  }
}

function checkAnswer(answer: object, form: "json" | "msgpack"): void {
  const bytes = takenOrRefused(["INVALID_REQUEST"], () => encode(answer, form));
  if (bytes === undefined) return;
  const read = takenOrRefused(["GUEST_ERROR"], () => readAnswer(decodeAnswer(bytes)));
  for (const text of read?.headers ?? [])
    // oxlint-disable-next-line no-control-regex -- control characters are what this looks for.
    holds(!/[\r\n\0]|[^\x00-\xff]/.test(text), "a header of an answer begins a line of its own");
}
