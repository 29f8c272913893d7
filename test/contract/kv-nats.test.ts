import { connect, type NatsConnection } from "nats";
import { afterAll, beforeAll } from "vitest";
import { createNatsKv } from "../../src/capabilities/kv/nats.ts";
import { systemClock } from "../../src/clock.ts";
import { startNatsServer, type NatsServer } from "../support/nats-server.ts";
import { describeKvContract } from "./kv-contract.ts";
import { jetstreamManager } from "@nats-io/jetstream";

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

describeKvContract("NATS JetStream", async () => {
  const { streams } = await jetstreamManager(connection);
  for await (const name of streams.names()) await streams.delete(name);
  return createNatsKv({ connection, clock: systemClock });
});
