import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { ByteSource } from "../../src/byte-source.ts";
import { createStreams } from "../../src/bus/streams.ts";
import { systemClock } from "../../src/clock.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { thrownBy } from "../support/guest-host.ts";
import { type RunningEngine, startEngine } from "../support/running-engine.ts";

let running: RunningEngine;
let streams: ReturnType<typeof createStreams>;

beforeAll(async () => {
  running = await startEngine();
  const { "hello-http": example } = await buildExamples(["hello-http"]);
  await running.engine.start(running.spec("hello", await readFile(example.path)));
  streams = createStreams({ lattice: "test", holder: "gateway", bus: running.bus, clock: systemClock });
});

afterAll(async () => {
  streams.close("the test is over");
  await running[Symbol.asyncDispose]();
});

/** A source of so many bytes that breaks after them where it has a failure. */
function bytes(size: number, failure?: Failure): ByteSource & { readBytes: number; cancels: string[] } {
  return {
    readBytes: 0,
    cancels: [],
    async read(bytesMax) {
      const piece = Buffer.alloc(Math.min(bytesMax, size - this.readBytes), "x");
      this.readBytes += piece.length;
      if (piece.length > 0) return piece;
      if (failure !== undefined) throw failure;
      return undefined;
    },
    cancel(reason) {
      this.cancels.push(reason);
    },
  };
}

async function post(body: ByteSource): Promise<{ status: number; body?: Uint8Array; stream?: string }> {
  const request = { method: "POST", path: "/", stream: streams.serve(body) };
  const subject = "wasmatrix.call.v1.test.hello.http-request";
  const answer = await running.bus.request(subject, encode(request, "msgpack"), { timeoutMs: 10_000 });
  return decode(answer.data).value as { status: number; body?: Uint8Array; stream?: string };
}

test("a component answers a request for HTTP that came over the bus", async () => {
  expect(JSON.parse(await running.call("hello", "http-request", '{"method":"GET","path":"/"}'))).toEqual({
    status: 200,
    headers: [["content-type", "text/plain"]],
    body: "Hello from a component.\n",
  });
});

test("a body of 20 MB goes through a component and back, at the pace of its reader", async () => {
  const up = bytes(20_000_000);
  const { status, body, stream } = await post(up);
  const down = streams.open(stream ?? "");
  let size = body?.length ?? 0;
  let heldMax = 0;
  for (;;) {
    heldMax = Math.max(heldMax, up.readBytes - size);
    const piece = await down.read(65_536);
    if (piece === undefined) break;
    size += piece.length;
  }
  expect([status, size]).toEqual([200, 20_000_000]);
  // Pieces of 256 KiB on their way and read ahead on both sides, beside what the guest's pipe holds.
  expect(heldMax).toBeLessThan(2_000_000);
});

test("a body that breaks on its way in breaks the answer that was begun", async () => {
  const { stream } = await post(bytes(1_000_000, new Failure("COMMUNICATION_FAILURE", "the client hung up")));
  const down = streams.open(stream ?? "");
  const readAll = async () => {
    while ((await down.read(65_536)) !== undefined);
  };
  expect(await thrownBy(readAll)).toMatchObject({ code: "GUEST_ERROR" });
});

test("a reader that hangs up ends the upload behind the answer, and the guest lives on", async () => {
  const up = bytes(1_000_000_000);
  const { stream } = await post(up);
  streams.open(stream ?? "").cancel("the client hung up");
  await expect.poll(() => up.cancels, { timeout: 5_000 }).toHaveLength(1);
  expect(await running.call("hello", "http-request", '{"method":"GET","path":"/"}')).toContain("Hello");
});
