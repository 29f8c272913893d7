import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { BusStatus } from "../../src/bus/bus.ts";
import { busOn, connectNats } from "../../src/bus/nats-bus.ts";
import { connectClient, inboxPrefixFor, type NatsClient } from "../../src/bus/nats-client.ts";
import { createNatsBlobstore } from "../../src/capabilities/blobstore/nats.ts";
import { createNatsKv } from "../../src/capabilities/kv/nats.ts";
import { createNatsMessaging } from "../../src/capabilities/messaging/nats-messaging.ts";
import { systemClock } from "../../src/clock.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { decode } from "../../src/protocol/codec.ts";
import { describeBlobstoreContract } from "../contract/blobstore-contract.ts";
import { smallLimits } from "../contract/blobstore-lab.ts";
import { describeKvContract } from "../contract/kv-contract.ts";
import { call, holderOf, scope, text } from "../contract/messaging-lab.ts";
import { createLatticeRoles, type LatticeRoles } from "../support/lattice-roles.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";

let roles: LatticeRoles;
let server: NatsServer;
const connections = new Map<string, NatsClient>();
const optionsOf = (id: string) => ({
  servers: server.url,
  name: id,
  credsFile: roles.creds(id === "n1" ? "node" : "provider", id),
  connectTimeoutMs: 5_000,
});
const outside = (id: string) => ({ ...optionsOf(id), user: "application" as const });
const connectionOf = (id: string): NatsClient => {
  const found = connections.get(id);
  if (found === undefined) throw new Error(`${id} is not connected`);
  return found;
};

beforeAll(async () => {
  roles = createLatticeRoles("test");
  roles.creds("provider", "stores", { hosts: ["kv"] });
  roles.creds("provider", "blobs", { hosts: ["blobstore"] });
  roles.creds("provider", "talks", { hosts: ["messaging"] });
  roles.creds("provider", "answers", { hosts: ["messaging"], topics: ["app.>"] });
  roles.creds("provider", "admin", { hosts: ["*"] });
  roles.creds("node", "n1");
  const store = `jetstream { store_dir: ${JSON.stringify(`${roles.path}/js`)} }`;
  server = await startNatsServer({ config: `${store}\n${roles.config()}` });
  for (const id of ["stores", "blobs", "talks", "answers", "admin"])
    connections.set(id, await connectClient(outside(id), systemClock));
});
afterAll(async () => {
  await Promise.all([...connections.values()].map((one) => one.close()));
  await server.stop();
  roles[Symbol.dispose]();
});

// What a user that may do no more than its kind needs can do all that its kind is for.
describeKvContract("NATS JetStream, as a provider of kv alone", async () => {
  const { streams } = await jetstreamManager(connectionOf("admin"));
  for await (const name of streams.names()) await streams.delete(name);
  return createNatsKv({ connection: connectionOf("stores"), clock: systemClock });
});

describeBlobstoreContract("NATS JetStream, as a provider of blobstore alone", () =>
  createNatsBlobstore({ connection: connectionOf("blobs"), clock: systemClock, limits: smallLimits }),
);

describe("R12.4: messaging speaks to the lattice as one user and to applications as another", () => {
  async function messagingOf(id: string, refused: string[] = []) {
    const onStatus = (status: BusStatus) => {
      if (status.type === "refused") refused.push(`${status.operation} ${status.subject}`);
    };
    const bus = await connectNats({ ...optionsOf(id), onStatus });
    const connection = await connectClient(outside(id), systemClock);
    const topicBus = busOn(connection, inboxPrefixFor(outside(id)), systemClock, onStatus);
    const messaging = createNatsMessaging({ bus, topicBus, connection, lattice: "test", clock: systemClock });
    return {
      messaging,
      topicBus,
      refused,
      async [Symbol.asyncDispose]() {
        await messaging.close();
        await topicBus.close();
        await bus.close();
      },
    };
  }

  async function guestOn(instanceId: string, answer: (body: string) => string) {
    const node = await connectNats(optionsOf("n1"));
    const handled: string[] = [];
    const target = subjectFor("call", { lattice: "test", target: instanceId, operation: "handle-message" });
    node.subscribe(target.replace(/[^.]+$/, "*"), (message) => {
      const { body } = decode(message.data).value as { body: Uint8Array };
      handled.push(text(body));
      message.respond(new TextEncoder().encode(answer(text(body))));
    });
    await node.flush();
    return { handled, [Symbol.asyncDispose]: () => node.close() };
  }

  test(
    "what one guest publishes another one is handed, and its answer comes back",
    { timeout: 20_000 },
    async () => {
      await using one = await messagingOf("talks");
      await using other = await messagingOf("answers");
      await using guest = await guestOn("i-2", (body) => `${body}!`);
      await call(other.messaging, "subscribe", { topic: "app.orders" }, scope({ instanceId: "i-2" }));
      await call(one.messaging, "publish", { topic: "app.orders", body: "first" });
      await vi.waitFor(() => expect(guest.handled).toEqual(["first"]));
      const answer = (await call(one.messaging, "request", {
        topic: "app.orders",
        body: "second",
        timeoutMs: 5_000,
      })) as {
        body: Uint8Array;
      };
      expect(text(answer.body)).toBe("second!");
      expect([...one.refused, ...other.refused]).toEqual([]);
    },
  );

  test("a stream is read with what messaging alone may ask of JetStream", { timeout: 20_000 }, async () => {
    const { streams } = await jetstreamManager(connectionOf("admin"));
    await streams.add({ name: "ORDERS", subjects: ["app.kept.>"] });
    await using one = await messagingOf("answers");
    await using guest = await guestOn("i-3", () => "");
    one.messaging.granted([
      holderOf({
        instanceId: "i-3",
        config: { durable: "ORDERS" },
        permissions: ["msg:subscribe:app.kept.>"],
      }),
    ]);
    await jetstream(connectionOf("admin")).publish("app.kept.1", "kept");
    await vi.waitFor(() => expect(guest.handled).toEqual(["kept"]), { timeout: 10_000 });
    expect(one.refused).toEqual([]);
  });

  test("a topic that its identity does not have is refused by the server, and told", async () => {
    await using one = await messagingOf("answers");
    one.topicBus.publish("alarms.1", new Uint8Array(0));
    await vi.waitFor(() => expect(one.refused).toEqual(["publish alarms.1"]));
  });
});
