import { afterAll, afterEach, beforeAll } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { respondFailure } from "../../src/bus/guest-answers.ts";
import type { CapabilityScope, GrantHolder } from "../../src/capabilities/capability.ts";
import type { MessagingLimits } from "../../src/capabilities/messaging/messaging-limits.ts";
import {
  createNatsMessaging,
  type MessagingCapability,
  type NatsMessagingOptions,
} from "../../src/capabilities/messaging/nats-messaging.ts";
import { systemClock } from "../../src/clock.ts";
import { messagingLimits } from "../../src/limits.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { decode, encode, type Form } from "../../src/protocol/codec.ts";
import { capabilityScope } from "../support/capability-scope.ts";

/** A bus for the suite. */
export interface BusForMessaging {
  connect(): Promise<Bus>;
  stop(): Promise<void>;
}

/** Text as bytes. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bytes as text. */
export const text = (data: Uint8Array): string => new TextDecoder().decode(data);

/** Quick, so that what is given up is given up within a test. */
export const quick: MessagingLimits = {
  ...messagingLimits,
  unreachableMs: 100,
  retryDelayMs: 20,
  reportPeriodMs: 20,
};

/** A grant as a provider hears of it. */
export function holderOf(parts: Partial<GrantHolder> = {}): GrantHolder {
  const instanceId = parts.instanceId ?? "i-1";
  return {
    lattice: "test",
    instanceId,
    name: instanceId,
    config: {},
    permissions: ["msg:publish:app.>", "msg:subscribe:app.>"],
    nodeId: "n1",
    incarnation: 1,
    capabilityId: "bus",
    ...parts,
  };
}

/** The scope of a call under such a grant. */
export const scope = (parts: Partial<GrantHolder> = {}): CapabilityScope =>
  capabilityScope({ ...holderOf(parts) });

/** Performs an operation under a grant of `app.>` unless told, and decodes its answer. */
export async function call(
  to: MessagingCapability,
  operation: string,
  fields: object,
  as = scope(),
  form: Form = "msgpack",
): Promise<unknown> {
  return decode(await to.call(as, operation, encode(fields, form))).value;
}

/** What a guest is handed, and how it answers; by default with nothing. */
export type Handler = (message: { subject: string; body: string; replyTo?: string }) => unknown;

/** Instances that messages are delivered to, and somebody else on the bus. */
export interface MessagingLab {
  /** The provider's bus, of the last that was made. */
  readonly bus: Bus;
  /** Somebody else's. */
  readonly world: Bus;
  messaging(options?: Partial<NatsMessagingOptions>): Promise<MessagingCapability>;
  /** A guest that remembers what it was handed. */
  guest(instanceId: string, handle?: Handler, lattice?: string): Promise<LabGuest>;
}

/** What a guest was handed. */
export interface LabGuest {
  readonly handled: { subject: string; body: string }[];
  readonly bodies: () => string[];
}

/** Starts what carries the messages before the tests of the present suite, and ends everything after each. */
export function messagingLab(start: () => Promise<BusForMessaging>): MessagingLab {
  let carried: BusForMessaging;
  let bus: Bus;
  let world: Bus;
  const made: MessagingCapability[] = [];
  const opened: Bus[] = [];
  beforeAll(async () => {
    carried = await start();
  });
  afterAll(() => carried.stop());
  afterEach(async () => {
    await Promise.all(made.splice(0).map((one) => one.close()));
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });
  return {
    get bus() {
      return bus;
    },
    get world() {
      return world;
    },
    async messaging(options = {}) {
      bus = await carried.connect();
      world = await carried.connect();
      opened.push(bus, world);
      const one = createNatsMessaging({
        bus,
        lattice: "test",
        clock: systemClock,
        limits: quick,
        ...options,
      });
      made.push(one);
      return one;
    },
    guest: (instanceId, handle, lattice = "test") => guestOn(world, { lattice, instanceId }, handle),
  };
}

async function guestOn(
  world: Bus,
  { lattice, instanceId }: { lattice: string; instanceId: string },
  handle: Handler = () => undefined,
): Promise<LabGuest> {
  const handled: { subject: string; body: string }[] = [];
  world.subscribe(
    subjectFor("call", { lattice, target: instanceId, operation: "handle-message" }),
    (asked) => {
      const message = decode(asked.data).value as { subject: string; body: Uint8Array; replyTo?: string };
      const shown = { ...message, body: text(message.body) };
      handled.push({ subject: shown.subject, body: shown.body });
      void (async () => {
        try {
          const answer = await handle(shown);
          asked.respond(answer instanceof Uint8Array ? answer : new Uint8Array(0));
        } catch (error) {
          respondFailure(asked, error, 0);
        }
      })();
    },
  );
  await world.flush();
  return { handled, bodies: () => handled.map(({ body }) => body) };
}
