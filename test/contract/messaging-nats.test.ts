import { connectNats } from "../../src/bus/nats-bus.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { describeMessagingContract } from "./messaging-contract.ts";

describeMessagingContract("NATS", async () => {
  const server = await startNatsServer();
  return {
    connect: () => connectNats({ servers: server.url, name: "messaging", connectTimeoutMs: 5_000 }),
    stop: () => server.stop(),
  };
});
