import { startMemoryServer } from "../support/memory-bus.ts";
import { busContract } from "./bus-contract.ts";

busContract("the bus in memory", async () => {
  const server = startMemoryServer();
  const denials = {
    open: {},
    restricted: { denyPublish: ["secret.>"], denySubscribe: ["secret.>"] },
    inboxless: { denySubscribe: ["_INBOX.>"] },
  };
  return {
    connect: async (role, onStatus) => server.connect({ ...denials[role], onStatus }),
    interrupt: async () => server.disconnect(),
    restore: async () => server.reconnect(),
    stop: async () => {},
  };
});
