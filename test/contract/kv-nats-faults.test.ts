import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "nats";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createNatsKv } from "../../src/capabilities/kv/nats.ts";
import type { KvCapability } from "../../src/capabilities/kv/kv-capability.ts";
import { assertReplicas } from "../../src/capabilities/jetstream.ts";
import { kvStore } from "../../src/capabilities/kv/nats-failures.ts";
import { natsBucketName, natsKey } from "../../src/capabilities/kv/nats-names.ts";
import { systemClock } from "../../src/clock.ts";
import { kvLimits } from "../../src/limits.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { capabilityScope } from "../support/capability-scope.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { startNatsServer, type NatsServer } from "../support/nats-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

let buckets = 0;
let name: string;
let server: NatsServer;
let connection: NatsConnection;
const clock = systemClock;

beforeAll(async () => {
  server = await startNatsServer({ jetstream: true });
  connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
});
beforeEach(() => {
  name = `n${(buckets += 1)}`;
});
afterAll(async () => {
  await connection.close();
  await server.stop();
});

const call = async (kv: KvCapability, operation: string, fields: object) =>
  decode(await kv.call(capabilityScope({ lattice: "l", name }), operation, encode(fields, "json"))).value;
const bucketName = () => natsBucketName(`l/${name}`);
const sorted = (keys: string[]) => keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

describe("R5.5: kv in NATS JetStream", () => {
  let kv: KvCapability;
  beforeEach(async () => {
    kv = await createNatsKv({ connection, clock });
  });
  afterEach(() => kv.close());

  test("lists buckets of more keys than it looks at together, page by page, and leaves no consumer", async () => {
    const keys = Array.from({ length: 1_200 }, (_, index) => `${index % 3 === 0 ? "é/" : "x."}${index}`);
    for (const from of [0, 600]) {
      const entries = keys.slice(from, from + 600).map((key) => ({ key, value: "" }));
      await call(kv, "set-many", { entries });
    }
    const listed: string[] = [];
    let after: string | undefined;
    do {
      const page = (await call(kv, "list", { limit: 500, ...(after === undefined ? {} : { after }) })) as {
        keys: string[];
        next?: string;
      };
      listed.push(...page.keys);
      after = page.next;
    } while (after !== undefined);
    expect(listed).toEqual(sorted(keys));
    const below = (await call(kv, "list", { prefix: "é/11", limit: 1_000 })) as { keys: string[] };
    expect(below.keys).toEqual(sorted(keys.filter((key) => key.startsWith("é/11"))));
    const { streams } = await jetstreamManager(connection);
    expect((await streams.info(`KV_${bucketName()}`)).state.consumer_count).toBe(0);
  });

  test("lists while keys come, change and vanish: each that stays is there, once", async () => {
    const staying = Array.from({ length: 200 }, (_, index) => `stays-${1_000 + index}`);
    const entries = [...staying, "a", "b", "c"].map((key) => ({ key, value: "" }));
    await call(kv, "set-many", { entries });
    let listing = true;
    const churn = (async () => {
      for (let round = 0; listing; round += 1) {
        await call(kv, "set", { key: staying[(round * 7) % 200]!, value: String(round) });
        await call(kv, "delete", { key: "a" });
        await call(kv, "set", { key: "a", value: "" });
      }
    })();
    try {
      for (let round = 0; round < 20; round += 1) {
        expect(await call(kv, "list", { prefix: "stays-", limit: 1_000 })).toEqual({ keys: staying });
      }
    } finally {
      listing = false;
      await churn;
    }
  });

  test("what others left in a bucket with a KV client does no harm", async () => {
    await call(kv, "set", { key: "a/b", value: "1" });
    const theirs = await new Kvm(connection).open(bucketName());
    expect((await theirs.get(natsKey("a/b")))?.string()).toBe("1");
    await theirs.delete(natsKey("a/b"));
    await theirs.put("no=key", "x");
    await theirs.put("a//b", "x");
    expect(await call(kv, "list", {})).toEqual({ keys: [] });
    expect(await call(kv, "get-revision", { key: "a/b" })).toEqual({ value: null, revision: null });
    expect(await call(kv, "delete", { key: "a/b" })).toEqual({ deleted: false });
    expect(await call(kv, "swap", { key: "a/b", value: "2", revision: null })).toMatchObject({
      swapped: true,
    });
    await theirs.purge(natsKey("a/b"));
    expect(await call(kv, "increment", { key: "a/b" })).toEqual({ value: 1 });
  });

  test("a bucket that somebody deleted is made again", async () => {
    await call(kv, "set", { key: "k", value: "v" });
    const { streams } = await jetstreamManager(connection);
    for (const [operation, fields, answer] of [
      ["get", { key: "k" }, { value: null }],
      ["set", { key: "k", value: "v" }, {}],
      ["list", {}, { keys: [] }],
      ["increment", { key: "k" }, { value: 1 }],
      ["delete", { key: "k" }, { deleted: false }],
    ] as const) {
      await streams.delete(`KV_${bucketName()}`);
      expect(await call(kv, operation, fields)).toEqual(answer);
    }
  });

  test("data and revisions outlive a crash of the server, and no revision comes again", async () => {
    await call(kv, "set", { key: "stays", value: "v" });
    await call(kv, "set", { key: "k", value: "old" });
    const { revision } = (await call(kv, "get-revision", { key: "k" })) as { revision: string };
    await call(kv, "delete", { key: "k" });
    await server.restart();
    await expect.poll(() => kv.check().then(() => "well", String), { timeout: 10_000 }).toBe("well");
    expect(await call(kv, "get", { key: "stays" })).toEqual({ value: "v" });
    await call(kv, "set", { key: "k", value: "new" });
    const again = (await call(kv, "get-revision", { key: "k" })) as { revision: string };
    expect(Number(again.revision)).toBeGreaterThan(Number(revision));
    expect(await call(kv, "swap", { key: "k", value: "x", revision })).toMatchObject({ swapped: false });
  });

  test("no answer within the deadline is a communication failure, and it works again afterwards", async () => {
    await using proxy = await startTcpProxy(server.port);
    const other = await connect({ servers: proxy.url });
    const far = await createNatsKv({ connection: other, clock });
    await call(far, "set", { key: "k", value: "v" });
    proxy.freeze();
    await Promise.all([
      expectRefusal(call(far, "get", { key: "k" }), "COMMUNICATION_FAILURE", "no answer from JetStream"),
      expectRefusal(call(far, "increment", { key: "n" }), "COMMUNICATION_FAILURE", "no answer"),
      expectRefusal(call(far, "list", {}), "COMMUNICATION_FAILURE", "no answer"),
      expectRefusal(far.check(), "COMMUNICATION_FAILURE", "no answer"),
    ]);
    proxy.thaw();
    expect(await call(far, "get", { key: "k" })).toEqual({ value: "v" });
    await far.close();
    await other.close();
  });
});

describe("the limits of a bucket in JetStream", () => {
  test("keysPerBucketMax: existing keys can be replaced and deleted", async () => {
    const kv = await createNatsKv({ connection, clock, limits: { ...kvLimits, keysPerBucketMax: 2 } });
    await call(kv, "set-many", { entries: ["1", "2"].map((key) => ({ key, value: "v" })) });
    await expectRefusal(
      call(kv, "set", { key: "3", value: "" }),
      "RESOURCE_EXHAUSTED",
      "keysPerBucketMax, 2",
    );
    await expectRefusal(call(kv, "increment", { key: "3" }), "RESOURCE_EXHAUSTED", "keysPerBucketMax, 2");
    await call(kv, "set", { key: "2", value: "w" });
    expect(await call(kv, "delete", { key: "1" })).toEqual({ deleted: true });
    await call(kv, "set", { key: "3", value: "v" });
    expect(await call(kv, "list", {})).toEqual({ keys: ["2", "3"] });
  });

  test("bytesPerBucketMax: what is there stays, what shrinks is let in, and all of it can be deleted", async () => {
    const kv = await createNatsKv({ connection, clock, limits: { ...kvLimits, bytesPerBucketMax: 4_000 } });
    const value = "x".repeat(100);
    const keys: string[] = [];
    const filling = async () => {
      for (let index = 10; index < 100; index += 1) {
        await call(kv, "set", { key: `k${index}`, value });
        keys.push(`k${index}`);
      }
    };
    await expectRefusal(filling(), "RESOURCE_EXHAUSTED", "bytesPerBucketMax, 4000");
    expect(keys.length).toBeGreaterThan(10);
    expect(await call(kv, "list", {})).toEqual({ keys });
    for (const [operation, fields] of [
      ["set", { key: "more", value }],
      ["swap", { key: "more", value, revision: null }],
      ["set-many", { entries: [{ key: "more", value }] }],
    ] as const) {
      await expectRefusal(call(kv, operation, fields), "RESOURCE_EXHAUSTED", "bytesPerBucketMax, 4000");
    }
    await call(kv, "set", { key: "k10", value });
    expect(await call(kv, "delete-many", { keys })).toEqual({ deleted: keys.length });
    await call(kv, "set", { key: "k", value });
    expect(await call(kv, "list", {})).toEqual({ keys: ["k"] });
  });

  test("a server without room says so, and lets delete", async () => {
    await using small = await startNatsServer({
      config: "jetstream { max_file_store: 50KB }",
      jetstream: true,
    });
    const other = await connect({ servers: small.url });
    const kv = await createNatsKv({ connection: other, clock });
    const value = "x".repeat(1_000);
    let count = 0;
    const filling = async () => {
      for (; count < 1_000; count += 1) await call(kv, "set", { key: `${count}`, value });
    };
    await expectRefusal(filling(), "RESOURCE_EXHAUSTED", "insufficient resources");
    expect(await call(kv, "delete", { key: "0" })).toEqual({ deleted: true });
    expect(await call(kv, "exists", { key: "0" })).toEqual({ exists: false });
    await other.close();
  });

  test("a bucket in memory is one", async () => {
    const kv = await createNatsKv({ connection, clock, storage: "memory" });
    await call(kv, "set", { key: "k", value: "v" });
    const { streams } = await jetstreamManager(connection);
    const { config } = await streams.info(`KV_${bucketName()}`);
    expect(config).toMatchObject({
      storage: "memory",
      num_replicas: 1,
      max_msgs: kvLimits.keysPerBucketMax,
      max_bytes: -1,
      max_msgs_per_subject: 1,
      discard: "new",
    });
  });
});

describe("P20: a NATS that cannot do it", () => {
  test("without JetStream it says how to get it", async () => {
    await using plain = await startNatsServer();
    const other = await connect({ servers: plain.url });
    const creating = createNatsKv({ connection: other, clock });
    await expectRefusal(creating, "PROVIDER_UNAVAILABLE", "JetStream does not answer");
    await expect(creating).rejects.toMatchObject({ fix: expect.stringContaining("`-js`") as string });
    await other.close();
  });

  test("a user who may not use it is told what the user lacks", async () => {
    const config = `jetstream {}
      authorization { users = [{ user: a, password: a, permissions { publish: ["x"] } }] }`;
    await using guarded = await startNatsServer({ config, jetstream: true });
    const other = await connect({ servers: guarded.url, user: "a", pass: "a" });
    await expectRefusal(
      createNatsKv({ connection: other, clock }),
      "PROVIDER_UNAVAILABLE",
      "refuses to let the provider publish to $JS.API.INFO",
    );
    await other.close();
  });

  test("one that does not keep the writes of a replicated bucket apart", async () => {
    for (const version of ["2.9.10", "2.9.25", "2.10.2", "2.10.18", ""]) {
      expect(() => assertReplicas(kvStore, 3, version)).toThrow("loses updates of replicated buckets");
      expect(() => assertReplicas(kvStore, 1, version)).not.toThrow();
    }
    for (const version of ["2.10.19", "2.10.27", "2.11.0-beta.1", "2.12.1", "3.0.0"]) {
      expect(() => assertReplicas(kvStore, 3, version)).not.toThrow();
    }
    const creating = createNatsKv({ connection, clock, replicas: 3 }).then((kv) =>
      call(kv, "get", { key: "k" }),
    );
    // A newer server refuses it as well, for it is alone.
    await expect(creating).rejects.toMatchObject({ fix: expect.any(String) as string });
  });

  test("a stream of that name with other subjects", async () => {
    const { streams } = await jetstreamManager(connection);
    await streams.add({ name: `KV_${bucketName()}`, subjects: [`other.${name}`] });
    const kv = await createNatsKv({ connection, clock });
    await expectRefusal(call(kv, "get", { key: "k" }), "PROVIDER_UNAVAILABLE", "takes no messages");
  });

  test("a closed connection is a provider that is gone", async () => {
    const other = await connect({ servers: server.url });
    const kv = await createNatsKv({ connection: other, clock });
    await call(kv, "set", { key: "k", value: "v" });
    await other.close();
    await expectRefusal(
      call(kv, "get", { key: "k" }),
      "PROVIDER_UNAVAILABLE",
      "connection to NATS is closed",
    );
    await expectRefusal(kv.check(), "PROVIDER_UNAVAILABLE", "connection to NATS is closed");
    await kv.close();
  });
});
