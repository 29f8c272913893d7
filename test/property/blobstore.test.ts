import fc from "fast-check";
import { connect, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chunksOf, sourceOfChunks } from "../../src/capabilities/blobstore/byte-chunks.ts";
import { createMemoryBlobstore } from "../../src/capabilities/blobstore/memory.ts";
import { natsStoreName, natsStorePrefix } from "../../src/capabilities/blobstore/nats-names.ts";
import { createNatsBlobstore } from "../../src/capabilities/blobstore/nats.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import { systemClock } from "../../src/clock.ts";
import { blobLimits } from "../../src/limits.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { drained, memoryStreams, watchedSource } from "../support/byte-sources.ts";
import { capabilityScope } from "../support/capability-scope.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";

/** Chunks this small make objects of several, and room for a bucket is set aside at the server. */
const limits = { ...blobLimits, chunkBytes: 16, bytesPerContainerMax: 1024 * 1024 };

// Few names, so that operations meet; some that JavaScript's own order would misplace.
const container = fc.constantFrom("c", "d", "é/*");
const name = fc.constantFrom("a", "a/1", "b", "\u{1f600}", "\ufb00", ">");
const body = fc.uint8Array({ maxLength: 100 });
const offset = fc.option(fc.nat({ max: 110 }), { nil: undefined });

type Step =
  | {
      operation: "create-container" | "delete-container" | "clear-container" | "container-exists";
      container: string;
    }
  | { operation: "list-objects"; container: string; limit: number; after: string | undefined }
  | { operation: "object-info" | "object-exists"; container: string; name: string }
  | { operation: "delete-objects"; container: string; names: string[] }
  | {
      operation: "copy-object" | "move-object";
      from: { container: string; name: string };
      to: { container: string; name: string };
    }
  | {
      operation: "get-object";
      container: string;
      name: string;
      start: number | undefined;
      end: number | undefined;
    }
  | {
      operation: "put-object";
      container: string;
      name: string;
      body: Uint8Array;
      way: "body" | "stream" | "broken";
    };

const address = fc.record({ container, name });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    operation: fc.constantFrom("create-container" as const, "container-exists" as const),
    container,
  }),
  fc.record({
    operation: fc.constantFrom("delete-container" as const, "clear-container" as const),
    container,
  }),
  fc.record({
    operation: fc.constant("list-objects" as const),
    container,
    limit: fc.integer({ min: 1, max: 7 }),
    after: fc.option(name, { nil: undefined }),
  }),
  fc.record({
    operation: fc.constantFrom("object-info" as const, "object-exists" as const),
    container,
    name,
  }),
  fc.record({
    operation: fc.constant("delete-objects" as const),
    container,
    names: fc.array(name, { maxLength: 3 }),
  }),
  fc.record({
    operation: fc.constantFrom("copy-object" as const, "move-object" as const),
    from: address,
    to: address,
  }),
  {
    weight: 4,
    arbitrary: fc.record({
      operation: fc.constant("put-object" as const),
      container,
      name,
      body,
      way: fc.constantFrom("body" as const, "stream" as const, "broken" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      operation: fc.constant("get-object" as const),
      container,
      name,
      start: offset,
      end: offset,
    }),
  },
);

type Model = Map<string, Map<string, Uint8Array>>;
const missing = Symbol("refused");

/** What the store must answer, `missing` where it must refuse. */
function model(store: Model, current: Step): unknown {
  if ("from" in current) {
    const { from, to } = current;
    const held = store.get(from.container)?.get(from.name);
    const target = store.get(to.container);
    if (held === undefined || target === undefined) return missing;
    if (current.operation === "move-object") store.get(from.container)?.delete(from.name);
    target.set(to.name, held);
    return {};
  }
  const objects = store.get(current.container);
  switch (current.operation) {
    case "create-container":
      if (objects === undefined) store.set(current.container, new Map());
      return {};
    case "delete-container":
      store.delete(current.container);
      return {};
    case "container-exists":
      return { exists: objects !== undefined };
    case "clear-container":
      objects?.clear();
      return objects === undefined ? missing : {};
    case "list-objects": {
      if (objects === undefined) return missing;
      const { after, limit } = current;
      const behind = [...objects.keys()]
        .filter((one) => after === undefined || Buffer.compare(Buffer.from(one), Buffer.from(after)) > 0)
        .toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
      const page = behind.slice(0, limit);
      return behind.length > limit ? { objects: page, next: page.at(-1) } : { objects: page };
    }
    case "object-exists":
      return { exists: objects?.has(current.name) ?? false };
    case "object-info": {
      const size = objects?.get(current.name)?.length;
      const { container: place, name: called } = current;
      return size === undefined
        ? missing
        : { container: place, name: called, size, createdAt: expect.any(String) as string };
    }
    case "delete-objects":
      return { deleted: [...new Set(current.names)].filter((one) => objects?.delete(one)).length };
    case "put-object":
      if (objects === undefined || current.way === "broken") return missing;
      objects.set(current.name, current.body);
      return {};
    case "get-object": {
      const { start = 0, end = Infinity } = current;
      const held = objects?.get(current.name);
      if (held === undefined || end < start) return missing;
      const part = held.slice(start, Math.min(held.length, end + 1));
      return { size: part.length, body: part };
    }
  }
}

const streams = memoryStreams();

function payloadOf(current: Step): object {
  const { operation: _, ...fields } = current;
  if (current.operation !== "put-object") return fields;
  const { container: place, name: called, body: bytes, way } = current;
  if (way === "body") return { container: place, name: called, body: bytes };
  const pieces = [bytes.subarray(0, 7), bytes.subarray(7)].filter((piece) => piece.length > 0);
  const failure = way === "broken" ? new Failure("COMMUNICATION_FAILURE", "it broke") : undefined;
  return { container: place, name: called, stream: streams.serve(watchedSource(pieces, failure)) };
}

let histories = 0;

async function followsModel(store: Capability, steps: readonly Step[]): Promise<void> {
  histories += 1;
  const scope = capabilityScope({ name: `h${histories}`, streams });
  const expected: Model = new Map();
  const call = (operation: string, fields: object) =>
    store.call(scope, operation, encode(fields, "msgpack")).then(
      (answer) => decode(answer).value,
      (error: unknown) => {
        if (error instanceof Failure && ["INVALID_REQUEST", "COMMUNICATION_FAILURE"].includes(error.code)) {
          return missing;
        }
        throw error;
      },
    );
  const begin: Step = { operation: "create-container", container: "c" };
  for (const current of [begin, ...steps]) {
    const answer = model(expected, current);
    expect(await call(current.operation, payloadOf(current))).toEqual(answer);
  }
  for (const one of ["c", "d", "é/*"]) await call("delete-container", { container: one });
}

describe("P10: a blob store agrees with a simple model, for any history of operations", () => {
  test("in memory", async () => {
    const store = createMemoryBlobstore({ limits });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => followsModel(store, steps)),
      { numRuns: 300 },
    );
    await store.close();
  });

  describe("in NATS JetStream", () => {
    let server: NatsServer;
    let connection: NatsConnection;
    beforeAll(async () => {
      server = await startNatsServer({ jetstream: true });
      connection = await connect({ servers: server.url });
    });
    afterAll(async () => {
      await connection.close();
      await server.stop();
    });

    test("on a real server", async () => {
      const store = await createNatsBlobstore({ connection, clock: systemClock, limits, storage: "memory" });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 20 }), (steps) => followsModel(store, steps)),
        { numRuns: 100 },
      );
      await store.close();
    });
  });
});

test("R5.4: bytes that pass through chunks are the same bytes, in chunks of one size", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 50 }),
      fc.nat({ max: 400 }),
      fc.nat({ max: 400 }),
      fc.integer({ min: 1, max: 60 }),
      async (pieces, chunkBytes, start, length, bytesMax) => {
        const whole = Buffer.concat(pieces);
        const chunks: Uint8Array[] = [];
        for await (const chunk of chunksOf(watchedSource(pieces), chunkBytes)) chunks.push(chunk);
        expect(Buffer.concat(chunks).equals(whole)).toBe(true);
        for (const chunk of chunks.slice(0, -1)) expect(chunk.length).toBe(chunkBytes);
        for (const chunk of chunks) expect(chunk.buffer.byteLength).toBe(chunk.length);
        const part = await drained(sourceOfChunks(chunks, start, length), bytesMax);
        expect(Buffer.from(part).equals(whole.subarray(start, start + length))).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});

test("P19, R14.5: no two containers share a store, and no bucket has another one's", () => {
  const id = fc.stringMatching(/^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,5}[A-Za-z0-9])?$/);
  const place = fc.record({
    lattice: id,
    name: id,
    container: fc.string({ unit: "binary", minLength: 1, maxLength: 6 }),
  });
  const placeOf = (one: { lattice: string; name: string; container: string }) => ({
    bucket: `${one.lattice}/${one.name}`,
    container: one.container,
  });
  fc.assert(
    fc.property(place, place, (one, other) => {
      const [a, b] = [placeOf(one), placeOf(other)];
      expect(natsStoreName(a)).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(natsStoreName(a) === natsStoreName(b)).toBe(
        a.bucket === b.bucket && a.container === b.container,
      );
      expect(natsStoreName(b).startsWith(natsStorePrefix(a.bucket))).toBe(a.bucket === b.bucket);
    }),
    { numRuns: 1_000 },
  );
  // Where a separator alone would not part them.
  expect(natsStoreName({ bucket: "a/b_c", container: "x" })).not.toBe(
    natsStoreName({ bucket: "a_b/c", container: "x" }),
  );
  const longest = natsStoreName({ bucket: `${"l".repeat(64)}/${"n".repeat(64)}`, container: "x".repeat(64) });
  expect(`OBJ_${longest}`.length).toBeLessThanOrEqual(255);
});
