import { createClient } from "@redis/client";
import { afterAll, beforeAll } from "vitest";
import { createRedisKv } from "../../src/capabilities/kv/redis.ts";
import { systemClock } from "../../src/clock.ts";
import { startRedisServer, type RedisServer } from "../support/redis-server.ts";
import { describeKvContract } from "./kv-contract.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.stop());

describeKvContract("Redis", async () => {
  const client = await createClient({ url: server.url }).connect();
  await client.flushAll();
  client.destroy();
  return createRedisKv({ url: server.url, clock: systemClock });
});
