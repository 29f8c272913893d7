import { inspect } from "node:util";
import { createClient } from "@redis/client";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KvCapability } from "../../src/capabilities/kv/kv-capability.ts";
import { createRedisKv } from "../../src/capabilities/kv/redis.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { capabilityScope } from "../support/capability-scope.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { startRedisServer, type RedisServer } from "../support/redis-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

/** Real time, but a deadline of 2 s comes after 0.2 s. */
const clock: Clock = {
  ...systemClock,
  setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms / 10),
};

const call = async (kv: KvCapability, operation: string, fields: object) =>
  decode(await kv.call(capabilityScope({ lattice: "l", name: "n" }), operation, encode(fields, "json")))
    .value;

describe("R5.5: kv in Redis", () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  beforeEach(() => server.restart());
  afterAll(() => server.stop());

  test("goes on after a restart of the server, which forgot its scripts, and no revision comes again", async () => {
    const kv = await createRedisKv({ url: server.url, clock });
    await call(kv, "set", { key: "k", value: "v" });
    const { revision } = (await call(kv, "get-revision", { key: "k" })) as { revision: string };
    await server.restart();
    await expect.poll(() => kv.check().then(() => "well", String)).toBe("well");
    expect(await call(kv, "get", { key: "k" })).toEqual({ value: null });
    await call(kv, "set", { key: "k", value: "v" });
    expect(await call(kv, "swap", { key: "k", value: "x", revision })).toMatchObject({ swapped: false });
    await kv.close();
  });

  test("a server that is gone is a communication failure at once, and no call waits for it to come back", async () => {
    await using proxy = await startTcpProxy(server.port, "redis");
    const kv = await createRedisKv({ url: proxy.url, clock });
    await proxy.stop();
    const calls = Array.from({ length: 5 }, () => call(kv, "increment", { key: "n" }));
    for (const attempt of calls) {
      await expectRefusal(attempt, "COMMUNICATION_FAILURE", `redis at ${proxy.url} cannot be reached`);
    }
    await expectRefusal(kv.check(), "COMMUNICATION_FAILURE", "ECONNREFUSED");
    await kv.close();
  });

  test("a server that is silent is a communication failure after the deadline, and works again afterwards", async () => {
    await using proxy = await startTcpProxy(server.port, "redis");
    const kv = await createRedisKv({ url: proxy.url, clock });
    await call(kv, "set", { key: "k", value: "v" });
    proxy.freeze();
    await Promise.all(
      ["get", "delete", "increment", "exists"].map((operation) =>
        expectRefusal(call(kv, operation, { key: "k" }), "COMMUNICATION_FAILURE", `redis at ${proxy.url}`),
      ),
    );
    await expectRefusal(kv.check(), "COMMUNICATION_FAILURE", "no answer from redis");
    proxy.thaw();
    await expect.poll(() => kv.check().then(() => "well", String)).toBe("well");
    await kv.close();
  });

  test("connections that break on the way lose no later call", async () => {
    await using proxy = await startTcpProxy(server.port, "redis");
    const kv = await createRedisKv({ url: proxy.url, clock });
    for (let round = 0; round < 5; round += 1) {
      proxy.cut();
      await expect
        .poll(() => call(kv, "set", { key: "k", value: `${round}` }).then(() => "done", String))
        .toBe("done");
      expect(await call(kv, "get", { key: "k" })).toEqual({ value: `${round}` });
    }
    await kv.close();
  });

  test("what a bucket has in Redis is three keys, and nothing where it is empty but its last revision", async () => {
    const kv = await createRedisKv({ url: server.url, clock });
    await call(kv, "set-many", { entries: ["a", "b"].map((key) => ({ key, value: "v" })) });
    const client = await createClient({ url: server.url }).connect();
    const stem = "wasmatrix:kv:{l/n}:";
    expect((await client.keys("*")).toSorted()).toEqual(
      ["keys", "revision", "values"].map((part) => stem + part),
    );
    await call(kv, "delete-many", { keys: ["a", "b"] });
    expect(await client.keys("*")).toEqual([`${stem}revision`]);
    client.destroy();
    await kv.close();
  });
});

describe("P20: a Redis that cannot do it", () => {
  test("nobody there", async () => {
    const creating = createRedisKv({ url: "redis://127.0.0.1:1", clock });
    await expectRefusal(creating, "COMMUNICATION_FAILURE", "redis at redis://127.0.0.1:1 cannot be reached");
  });

  test.each([
    "",
    "redis",
    "http://127.0.0.1",
    "nats://u:secret@h",
    "redis://u:secret@h:99999",
    "redis://h/x%",
  ])("%j is no URL of a redis server", async (url) => {
    const creating = createRedisKv({ url, clock });
    await expectRefusal(creating, "INVALID_REQUEST", "not the URL of a redis server");
    await creating.catch((error: unknown) => expect(inspect(error)).not.toContain("secret"));
  });

  test("a wrong password, and no failure ever shows one", async () => {
    await using guarded = await startRedisServer({ flags: ["--requirepass", "right-secret"] });
    const withPassword = (password: string) => guarded.url.replace("//", `//:${password}@`);
    const shown: string[] = [];
    for (const [url, word] of [
      [guarded.url, "NOAUTH"],
      [withPassword("wrong-secret"), "WRONGPASS"],
    ] as const) {
      const creating = createRedisKv({ url, clock });
      await expectRefusal(creating, "PROVIDER_UNAVAILABLE", word);
      await expect(creating).rejects.toMatchObject({ retry: "never" });
      await creating.catch((error: unknown) => shown.push(inspect(error, { depth: 9, showHidden: true })));
    }
    const kv = await createRedisKv({ url: withPassword("right-secret"), clock });
    await call(kv, "set", { key: "k", value: "v" });
    await guarded.stop();
    await call(kv, "get", { key: "k" }).catch((error: unknown) => shown.push(inspect(error, { depth: 9 })));
    await kv.check().catch((error: unknown) => shown.push(inspect(error, { depth: 9 })));
    expect(shown).toHaveLength(4);
    for (const text of shown) expect(text).not.toMatch(/secret/);
    await kv.close();
  });

  test("the commands that a user must be allowed are those that its documentation names, and no others", async () => {
    await using guarded = await startRedisServer();
    const client = await createClient({ url: guarded.url }).connect();
    const names =
      "ping info time eval evalsha get set hget hset hdel hexists hstrlen hmget zadd zrem zrangebylex".split(
        " ",
      );
    const rights = names.map((name) => `+${name}`);
    await client.sendCommand(["ACL", "SETUSER", "kv", "on", ">pass", "~wasmatrix:kv:*", ...rights]);
    client.destroy();
    const kv = await createRedisKv({ url: guarded.url.replace("//", "//kv:pass@"), clock });
    await call(kv, "set-many", { entries: [{ key: "k", value: "1" }] });
    await call(kv, "increment", { key: "k" });
    const held = (await call(kv, "get-revision", { key: "k" })) as { revision: string };
    expect(await call(kv, "swap", { key: "k", value: "3", revision: held.revision })).toMatchObject({
      swapped: true,
    });
    expect(await call(kv, "get-many", { keys: ["k"] })).toEqual({ values: [{ key: "k", value: "3" }] });
    expect(await call(kv, "exists", { key: "k" })).toEqual({ exists: true });
    expect(await call(kv, "list", { prefix: "k" })).toEqual({ keys: ["k"] });
    expect(await call(kv, "delete", { key: "k" })).toEqual({ deleted: true });
    await kv.check();
    await kv.close();
  });

  test("no memory left: writes are refused, and what is there can be read and deleted", async () => {
    await using full = await startRedisServer({ flags: ["--maxmemory", "3mb"] });
    const kv = await createRedisKv({ url: full.url, clock });
    const value = "x".repeat(100_000);
    let count = 0;
    const filling = async () => {
      for (; count < 100; count += 1) await call(kv, "set", { key: `${count}`, value });
    };
    await expectRefusal(filling(), "RESOURCE_EXHAUSTED", "OOM");
    expect(await call(kv, "get", { key: "0" })).toEqual({ value });
    expect(await call(kv, "delete", { key: "0" })).toEqual({ deleted: true });
    await kv.check();
    await kv.close();
  });

  test("a policy by which keys vanish is not well", async () => {
    await using forgetful = await startRedisServer({
      flags: ["--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru"],
    });
    const kv = await createRedisKv({ url: forgetful.url, clock });
    await expectRefusal(kv.check(), "PROVIDER_UNAVAILABLE", "drops keys");
    await kv.close();
  });

  test("a server that takes no writes is a provider that is unavailable", async () => {
    await using alone = await startRedisServer({ flags: ["--min-replicas-to-write", "1"] });
    const kv = await createRedisKv({ url: alone.url, clock });
    await expectRefusal(call(kv, "set", { key: "k", value: "v" }), "PROVIDER_UNAVAILABLE", "NOREPLICAS");
    expect(await call(kv, "get", { key: "k" })).toEqual({ value: null });
    await kv.close();
  });
});
