import { connect, type NatsConnection } from "nats";
import { afterAll, beforeAll } from "vitest";
import { createNatsKv } from "../../src/capabilities/kv/nats.ts";
import { systemClock } from "../../src/clock.ts";
import { startNatsServer, type NatsServer } from "../support/nats-server.ts";
import { describeKvProperties } from "./kv-histories.ts";

let server: NatsServer;
let connections: NatsConnection[];
beforeAll(async () => {
  server = await startNatsServer({ jetstream: true });
  connections = await Promise.all([1, 2].map(() => connect({ servers: server.url })));
});
afterAll(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await server.stop();
});

describeKvProperties(
  "NATS JetStream",
  async () => {
    const [one, other] = connections.map((connection) => createNatsKv({ connection, clock: systemClock }));
    return [await one!, await other!];
  },
  100,
);
