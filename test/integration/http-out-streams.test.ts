import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { type BusStreams, createStreams } from "../../src/bus/streams.ts";
import { systemClock } from "../../src/clock.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { httpLab, serveHttp, sourceOf } from "./http-out-lab.ts";

const totalBytes = 20 * 1024 * 1024;
const piece = Buffer.alloc(65_536, "wasmatrix");
const sha256 = (parts: Iterable<Uint8Array>) => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};
const pieces = () => Array.from({ length: totalBytes / piece.length }, () => piece);

let nats: NatsServer;
const open: AsyncDisposable[] = [];
const opened = <Part extends { close(): Promise<void> }>(part: Part): Part => {
  open.push({ [Symbol.asyncDispose]: () => part.close() });
  return part;
};

beforeAll(async () => {
  nats = await startNatsServer();
});
afterAll(async () => {
  for (const part of open) await part[Symbol.asyncDispose]();
  await nats.stop();
});

/** The streams of the node that calls, and of the provider. */
async function twoEnds(): Promise<{ guest: BusStreams; provider: BusStreams }> {
  const end = async (holder: string) => {
    const bus = opened(await connectNats({ servers: nats.url, name: holder, connectTimeoutMs: 5_000 }));
    return createStreams({ lattice: "test", holder, bus, clock: systemClock });
  };
  return { guest: await end("n1"), provider: await end("p1") };
}

describe("R12.1 R12.3: bodies of guests elsewhere", () => {
  test("20 MiB come down over the bus as they were sent", async () => {
    const { guest, provider } = await twoEnds();
    await using server = await serveHttp((_, response) => {
      const rest = pieces();
      const write = () => {
        for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
          if (!response.write(next)) return void response.once("drain", write);
        }
        response.end();
      };
      write();
    });
    await using lab = httpLab();
    const { stream = "" } = await lab.ask({ url: server.url }, { streams: provider });
    const source = guest.open(stream);
    const read: Uint8Array[] = [];
    for (let next = await source.read(65_536); next !== undefined; next = await source.read(65_536))
      read.push(next);
    expect(read.reduce((sum, { length }) => sum + length, 0)).toBe(totalBytes);
    expect(sha256(read)).toBe(sha256(pieces()));
  });

  test("20 MiB go up over the bus as they were written", async () => {
    const { guest, provider } = await twoEnds();
    await using server = await serveHttp((request, response) => {
      const hash = createHash("sha256");
      request.on("data", (part: Buffer) => hash.update(part));
      request.on("end", () => response.end(hash.digest("hex")));
    });
    await using lab = httpLab();
    const stream = guest.serve(sourceOf(pieces()));
    const answer = await lab.ask({ method: "PUT", url: server.url, stream }, { streams: provider });
    expect(Buffer.from(answer.body as Uint8Array).toString()).toBe(sha256(pieces()));
  });

  test("a reader that goes away closes the connection to the server", async () => {
    const { guest, provider } = await twoEnds();
    await using server = await serveHttp((_, response) => void response.write(Buffer.alloc(100_000)));
    await using lab = httpLab({ limits: { inlineWaitMs: 1 } });
    const { stream = "" } = await lab.ask({ url: server.url }, { streams: provider });
    const source = guest.open(stream);
    await source.read(1_000);
    source.cancel("enough");
    await server.quiet();
  });
});
