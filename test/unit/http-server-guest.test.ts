import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { readAnswer } from "../../src/capabilities/http-server/answer.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import type { AdmittedModule } from "../../src/wasm/admission/admit.ts";
import { admittedExample, type ExampleGuest, exampleGuest } from "../support/example-guest.ts";

let admitted: AdmittedModule;
let guest: ExampleGuest;

beforeAll(async () => {
  admitted = await admittedExample("web", 32);
  guest = exampleGuest(admitted);
});

const ask = async (request: object) =>
  readAnswer(decode(await guest.call("http-request", encode(request, "msgpack"))).value);

const echoed = { method: "POST", scheme: "http", authority: "a", path: "/echo?x=1" };

describe("R5.2: a waPC guest that answers HTTP", () => {
  test("P10: gives back any body with its type, whatever else is in the request", async () => {
    const value = fc.oneof(
      fc.string({ maxLength: 40 }).filter((text) => text.isWellFormed()),
      fc.uint8Array({ maxLength: 40 }),
    );
    const others = fc.array(fc.tuple(fc.constantFrom("x-a", "accept", "cookie"), value), { maxLength: 20 });
    const type = fc.stringMatching(/^[a-z]{1,8}\/[a-z]{1,8}$/);
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 70_000 }),
        others,
        type,
        async (body, headers, contentType) => {
          const answer = await ask({ ...echoed, headers: [...headers, ["content-type", contentType]], body });
          expect([answer.status, answer.headers]).toEqual([200, ["content-type", contentType]]);
          expect(Buffer.from(answer.body).equals(Buffer.from(body))).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("a body that goes on in a stream is refused with 413, and never taken for the whole", async () => {
    const answer = await ask({ ...echoed, headers: [], body: new Uint8Array(5), stream: "n1.abc" });
    expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([
      413,
      "the body is too long for this guest\n",
    ]);
  });

  test("P18: what is no request is an error of its own, and the guest lives on", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
        const outcome = await Promise.try(() => guest.call("http-request", bytes)).then(
          (answer) => readAnswer(decode(answer).value).status,
          (error: { code?: string }) => error.code,
        );
        // An empty map is a request for nothing: its path leads nowhere.
        expect(["GUEST_ERROR", 404]).toContain(outcome);
      }),
      { numRuns: 300 },
    );
    expect((await ask({ ...echoed, headers: [] })).status).toBe(200);
  });
});
