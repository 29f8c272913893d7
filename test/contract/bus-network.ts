import { afterAll, afterEach, beforeAll } from "vitest";
import type { Bus, BusMessage, BusStatus, Subscription } from "../../src/bus/bus.ts";

/** `restricted` may neither publish nor subscribe to `secret.>`; `inboxless` may not subscribe to `_INBOX.>`. */
export type ContractRole = "open" | "restricted" | "inboxless";

/** An implementation of the port, under test. */
export interface BusUnderTest {
  connect(role: ContractRole, onStatus: (status: BusStatus) => void): Promise<Bus>;
  /** Takes every bus off the network. */
  interrupt(): Promise<void>;
  /** Brings them back. */
  restore(): Promise<void>;
  stop(): Promise<void>;
}

/** What the tests of the contract do with it. */
export interface Network {
  /** A bus that is closed after the test, and its statuses so far. */
  readonly connect: (role?: ContractRole) => Promise<{ bus: Bus; statuses: BusStatus[] }>;
  /** Texts received on a filter; `marked` resolves once `end` has come, after everything sent before it. */
  readonly listen: (bus: Bus, filter: string, queue?: string) => Promise<Heard>;
  readonly interrupt: () => Promise<void>;
  readonly restore: () => Promise<void>;
}

/** What came on one filter. */
export interface Heard {
  readonly received: string[];
  readonly subscription: Subscription;
  readonly marked: Promise<void>;
}

/** Text as the payload of a message. */
export const bytes = (words: string): Uint8Array => new TextEncoder().encode(words);

/** The payload of a message as text. */
export const text = (message: BusMessage): string => new TextDecoder().decode(message.data);

/** Answers with what came. */
export const echo = (message: BusMessage): void => message.respond(message.data);

/** Starts the implementation before the tests of the present suite and stops it after them. */
export function networkOf(start: () => Promise<BusUnderTest>): Network {
  let underTest: BusUnderTest;
  const opened: Bus[] = [];

  beforeAll(async () => {
    underTest = await start();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((bus) => bus.close()));
  });
  afterAll(() => underTest.stop());

  return {
    async connect(role = "open") {
      const statuses: BusStatus[] = [];
      const bus = await underTest.connect(role, (status) => statuses.push(status));
      opened.push(bus);
      return { bus, statuses };
    },
    listen,
    interrupt: () => underTest.interrupt(),
    restore: () => underTest.restore(),
  };
}

async function listen(bus: Bus, filter: string, queue?: string): Promise<Heard> {
  const received: string[] = [];
  const marked = Promise.withResolvers<void>();
  const onMessage = (message: BusMessage) => {
    if (text(message) === "end") marked.resolve();
    else received.push(text(message));
  };
  const subscription = bus.subscribe(filter, onMessage, queue === undefined ? {} : { queue });
  await bus.flush();
  return { received, subscription, marked: marked.promise };
}
