import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { respondFailure } from "../../src/bus/guest-answers.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { durableConsumerName } from "../../src/capabilities/messaging/durable.ts";
import {
  createNatsMessaging,
  type MessagingCapability,
  type NatsMessagingOptions,
} from "../../src/capabilities/messaging/nats-messaging.ts";
import { systemClock } from "../../src/clock.ts";
import { messagingLimits } from "../../src/limits.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { decode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { holderOf } from "./messaging-lab.ts";

let server: NatsServer;
let bus: Bus;
let connection: NatsConnection;
const made: MessagingCapability[] = [];
let streams = 0;

beforeAll(async () => {
  server = await startNatsServer({ jetstream: true });
  bus = await connectNats({ servers: server.url, name: "durable", connectTimeoutMs: 5_000 });
  connection = await connect({ servers: server.url });
});
afterEach(async () => {
  await Promise.all(made.splice(0).map((one) => one.close()));
});
afterAll(async () => {
  await bus.close();
  await connection.close();
  await server.stop();
});

const quick = {
  ...messagingLimits,
  unreachableMs: 50,
  retryDelayMs: 10,
  nakDelayMs: 10,
  pullMs: 1_000,
  streamRetryMs: 20,
};

function messaging(options: Partial<NatsMessagingOptions> = {}): MessagingCapability {
  const one = createNatsMessaging({
    bus,
    connection,
    lattice: "test",
    clock: systemClock,
    limits: quick,
    ...options,
  });
  made.push(one);
  return one;
}

/** A stream of its own for each test, with what was published to it before anybody listened. */
async function streamWith(bodies: readonly string[]) {
  streams += 1;
  const stream = `orders${streams}`;
  const topic = `app.${stream}.new`;
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: stream, subjects: [`app.${stream}.>`] });
  const publish = async (body: string, subject = topic) =>
    void (await jetstream(connection).publish(subject, new TextEncoder().encode(body)));
  for (const body of bodies) await publish(body);
  const consumer = (name: string) =>
    manager.consumers.info(stream, durableConsumerName({ lattice: "test", name }, topic));
  return { stream, topic, manager, publish, consumer };
}

async function guest(instanceId: string, handle: (body: string) => void = () => undefined) {
  const bodies: string[] = [];
  const target = subjectFor("call", { lattice: "test", target: instanceId, operation: "handle-message" });
  const subscription = bus.subscribe(target, (call) => {
    const { body } = decode(call.data).value as { body: Uint8Array };
    bodies.push(new TextDecoder().decode(body));
    try {
      handle(bodies.at(-1) ?? "");
      call.respond(new Uint8Array(0));
    } catch (error) {
      respondFailure(call, error, 0);
    }
  });
  await bus.flush();
  return { bodies, subscription };
}

describe("R5.3: a grant with a stream", () => {
  test("delivers what was published before anybody listened, acknowledges it, and goes on where it was", async () => {
    const { stream, topic, publish, consumer } = await streamWith(["m1", "m2"]);
    const { bodies, subscription } = await guest("i-1");
    const one = messaging();
    one.granted([holderOf({ config: { durable: stream, subscriptions: topic } })]);
    await vi.waitFor(() => expect(bodies).toEqual(["m1", "m2"]));
    await vi.waitFor(async () =>
      expect(await consumer("i-1")).toMatchObject({ num_ack_pending: 0, ack_floor: { stream_seq: 2 } }),
    );
    expect(one.stats()).toEqual({ subscriptions: 1, delivered: 2, failed: 0, dropped: 0 });
    one.granted([]);
    await one.close();
    await publish("m3");
    const other = messaging();
    other.granted([holderOf({ config: { durable: stream, subscriptions: topic }, incarnation: 2 })]);
    await vi.waitFor(() => expect(bodies).toEqual(["m1", "m2", "m3"]));
    subscription.unsubscribe();
  });

  test("copies of a name share the messages: each is handled once", async () => {
    const sent = Array.from({ length: 30 }, (_, index) => `m${index}`);
    const { stream, topic } = await streamWith(sent);
    const guests = await Promise.all(["c-1", "c-2"].map((id) => guest(id)));
    const one = messaging();
    const config = { durable: stream, subscriptions: topic };
    one.granted(["c-1", "c-2"].map((instanceId) => holderOf({ instanceId, name: "copies", config })));
    await vi.waitFor(() => expect(one.stats().delivered).toBe(30));
    expect(guests.flatMap(({ bodies }) => bodies).toSorted()).toEqual(sent.toSorted());
    for (const { bodies, subscription } of guests) {
      expect(bodies.length).toBeGreaterThan(0);
      subscription.unsubscribe();
    }
  });

  test("what the guest fails on comes again, and after deliveriesMax times it is given up and counted", async () => {
    const { stream, topic, consumer } = await streamWith(["poison", "shaky", "good"]);
    let shakes = 0;
    const { bodies, subscription } = await guest("i-2", (body) => {
      if (body === "poison" || (body === "shaky" && shakes++ < 2)) throw new Failure("GUEST_ERROR", "no");
    });
    const dropped: unknown[] = [];
    const one = messaging({
      onDropped: ({ instanceId }, about, count) => dropped.push([instanceId, about, count]),
    });
    one.granted([holderOf({ instanceId: "i-2", config: { durable: stream, subscriptions: topic } })]);
    await vi.waitFor(() => expect(dropped).toEqual([["i-2", topic, 1]]), { timeout: 5_000 });
    await vi.waitFor(() =>
      expect(one.stats()).toEqual({ subscriptions: 1, delivered: 2, failed: 7, dropped: 1 }),
    );
    const times = (wanted: string) => bodies.filter((body) => body === wanted).length;
    expect([times("poison"), times("shaky"), times("good")]).toEqual([5, 3, 1]);
    await vi.waitFor(async () => expect(await consumer("i-2")).toMatchObject({ num_ack_pending: 0 }));
    subscription.unsubscribe();
  });

  test("R8.1: a message for an instance that is away is delivered when it is back", async () => {
    const { stream, topic } = await streamWith(["waits"]);
    const one = messaging({ limits: { ...quick, unreachableMs: 20_000 } });
    one.granted([holderOf({ instanceId: "i-3", config: { durable: stream, subscriptions: topic } })]);
    await vi.waitFor(() => expect(one.stats().subscriptions).toBe(1));
    const { bodies, subscription } = await guest("i-3");
    await vi.waitFor(() => expect(bodies).toEqual(["waits"]));
    expect(one.stats().dropped).toBe(0);
    subscription.unsubscribe();
  });

  test("P4: only what the permissions cover comes out of the stream, without a list all of that", async () => {
    const { stream, publish } = await streamWith([]);
    const { bodies, subscription } = await guest("i-4");
    await publish("secret", `app.${stream}.secret`);
    await publish("open", `app.${stream}.open`);
    const one = messaging();
    one.granted([
      holderOf({
        instanceId: "i-4",
        permissions: [`msg:subscribe:app.${stream}.open`],
        config: { durable: stream },
      }),
    ]);
    await vi.waitFor(() => expect(bodies).toEqual(["open"]));
    await publish("secret", `app.${stream}.secret`);
    await publish("end", `app.${stream}.open`);
    await vi.waitFor(() => expect(bodies).toEqual(["open", "end"]));
    subscription.unsubscribe();
  });

  test("a stream that does not exist yet is told of once and read as soon as it does", async () => {
    const warnings: string[] = [];
    const one = messaging({ log: { warn: (_, message) => warnings.push(message) } });
    const { bodies, subscription } = await guest("i-5");
    const stream = `orders${streams + 1}`;
    one.granted([
      holderOf({ instanceId: "i-5", config: { durable: stream, subscriptions: `app.${stream}.new` } }),
    ]);
    await vi.waitFor(() => expect(warnings).toEqual(["a stream cannot be read"]));
    await streamWith(["there"]);
    await vi.waitFor(() => expect(bodies).toEqual(["there"]), { timeout: 5_000 });
    expect(warnings).toEqual(["a stream cannot be read"]);
    subscription.unsubscribe();
  });

  test("without a connection to JetStream the grant gets nothing, and the log says so", () => {
    const warnings: object[] = [];
    const one = createNatsMessaging({
      bus,
      lattice: "test",
      clock: systemClock,
      log: { warn: (details) => warnings.push(details) },
    });
    made.push(one);
    one.granted([holderOf({ config: { durable: "orders", subscriptions: "app.a" } })]);
    expect(one.stats().subscriptions).toBe(0);
    expect(warnings).toMatchObject([{ reason: "this provider has no connection to JetStream" }]);
  });
});
