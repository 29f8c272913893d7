import { expect, test } from "vitest";
import { createNatsMessaging } from "../../src/capabilities/messaging/nats-messaging.ts";
import { systemClock } from "../../src/clock.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { describeMessagingContract } from "./messaging-contract.ts";
import { call } from "./messaging-lab.ts";

describeMessagingContract("a bus in memory", async () => {
  const server = startMemoryServer();
  return { connect: async () => server.connect(), stop: async () => undefined };
});

test("R13.6: a subscription that the server does not allow to the provider is in the log", async () => {
  const warnings: object[] = [];
  const bus = startMemoryServer().connect({ denySubscribe: ["app.secret"] });
  const log = { warn: (details: object) => warnings.push(details) };
  const messaging = createNatsMessaging({ bus, lattice: "test", clock: systemClock, log });
  await call(messaging, "subscribe", { topic: "app.secret" });
  expect(warnings).toEqual([{ topic: "app.secret" }]);
  await messaging.close();
});
