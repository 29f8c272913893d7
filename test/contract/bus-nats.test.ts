import { connectNats } from "../../src/bus/nats-bus.ts";
import { createNatsRoles } from "../support/nats-roles.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { busContract } from "./bus-contract.ts";

busContract("the bus on NATS", async () => {
  const roles = createNatsRoles({
    open: {},
    restricted: { publish: ["secret.>"], subscribe: ["secret.>"] },
    inboxless: { subscribe: ["_INBOX.>"] },
  });
  const server = await startNatsServer({ config: roles.config });
  return {
    connect: (role, onStatus) =>
      connectNats({
        servers: server.url,
        name: `contract-${role}`,
        credsFile: roles.credsFile(role),
        connectTimeoutMs: 5_000,
        onStatus,
      }),
    interrupt: () => server.kill(),
    restore: () => server.restart(),
    async stop() {
      await server.stop();
      roles.remove();
    },
  };
});
