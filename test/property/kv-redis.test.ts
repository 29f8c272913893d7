import { afterAll, beforeAll } from "vitest";
import { createRedisKv } from "../../src/capabilities/kv/redis.ts";
import { systemClock } from "../../src/clock.ts";
import { startRedisServer, type RedisServer } from "../support/redis-server.ts";
import { describeKvProperties } from "./kv-histories.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.stop());

describeKvProperties(
  "Redis",
  async () => {
    const options = { url: server.url, clock: systemClock };
    return [await createRedisKv(options), await createRedisKv(options)];
  },
  100,
);
