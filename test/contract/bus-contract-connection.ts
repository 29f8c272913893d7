import { expect, test, vi } from "vitest";
import type { BusStatus } from "../../src/bus/bus.ts";
import type { Network } from "./bus-network.ts";
import { bytes, echo, text } from "./bus-network.ts";

/** Closing, losing and regaining the connection; permissions; statuses. */
export function checkConnection({ connect, interrupt, restore }: Network): void {
  test("a status listener that throws is reported to the others", async () => {
    const { bus, statuses } = await connect();
    const error = new Error("a bug of a listener");
    bus.onStatus(() => {
      throw error;
    });
    await bus.close();
    expect(statuses.slice(1)).toEqual([{ type: "closed" }, { type: "callback-failed", subject: "", error }]);
  });

  test("closing fails pending requests at once, and nothing can be done afterwards", async () => {
    const { bus, statuses } = await connect();
    bus.subscribe("silent", () => {});
    const pending = Array.from({ length: 50 }, () =>
      bus.request("silent", bytes("x"), { timeoutMs: 20_000 }),
    );
    const outcomes = Promise.allSettled(pending);
    const closing = bus.close();
    const tooLate = bus.request("silent", bytes("x"), { timeoutMs: 20_000 });
    await expect(tooLate).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
      details: { safeToRepeat: true },
    });
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { code: "COMMUNICATION_FAILURE", details: { subject: "silent", safeToRepeat: false } },
      });
    }
    expect(bus.close()).toBe(closing);
    await closing;
    const closed = expect.objectContaining({ code: "COMMUNICATION_FAILURE", retry: "never" });
    expect(bus.connected).toBe(false);
    expect(() => bus.publish("a", bytes("x"))).toThrow(closed);
    expect(() => bus.subscribe("a", echo)).toThrow(closed);
    await expect(bus.request("a", bytes("x"), { timeoutMs: 5_000 })).rejects.toEqual(closed);
    await expect(bus.flush()).rejects.toEqual(closed);
    expect(statuses.slice(1)).toEqual([{ type: "closed" }]);
  });

  test("a bus that closes handles, and answers, what it has received", async () => {
    const [{ bus: one }, { bus: other }] = [await connect(), await connect()];
    const handled: string[] = [];
    other.subscribe("echo", (message) => {
      handled.push(text(message));
      echo(message);
    });
    await other.flush();
    const words = Array.from({ length: 200 }, (_, index) => `word ${index}`);
    const answers = Promise.all(words.map((word) => one.request("echo", bytes(word), { timeoutMs: 10_000 })));
    await one.flush();
    await other.close();
    expect(handled).toEqual(words);
    expect((await answers).map(text)).toEqual(words);
  });

  test("a lost connection fails pending requests, refuses new ones, and comes back with its subscriptions", async () => {
    const [{ bus: one, statuses }, { bus: other, statuses: otherStatuses }] = [
      await connect(),
      await connect(),
    ];
    other.subscribe("silent", () => {});
    other.subscribe("echo", echo, { queue: "echoes" });
    await other.flush();
    const pending = one.request("silent", bytes("x"), { timeoutMs: 60_000 });
    const lost = expect(pending).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
      details: { subject: "silent", safeToRepeat: false },
    });
    await one.flush();
    await interrupt();
    await lost;
    await vi.waitFor(() => expect(statuses.slice(1)).toEqual([{ type: "disconnected" }]));
    const notSent = { code: "COMMUNICATION_FAILURE", details: { safeToRepeat: true } };
    expect(one.connected).toBe(false);
    expect(() => one.publish("echo", bytes("x"))).toThrow(
      expect.objectContaining({ code: "COMMUNICATION_FAILURE" }),
    );
    await expect(one.request("echo", bytes("x"), { timeoutMs: 5_000 })).rejects.toMatchObject(notSent);
    await expect(one.flush()).rejects.toMatchObject(notSent);

    await restore();
    for (const seen of [statuses, otherStatuses]) {
      await vi.waitFor(
        () => expect(seen.map(({ type }) => type)).toEqual(["connected", "disconnected", "reconnected"]),
        { timeout: 10_000 },
      );
    }
    await other.flush();
    expect(one.connected).toBe(true);
    expect(text(await one.request("echo", bytes("again"), { timeoutMs: 5_000 }))).toBe("again");
  });

  test("a subscription made while disconnected counts after the reconnect", async () => {
    const { bus, statuses } = await connect();
    await interrupt();
    await vi.waitFor(() => expect(bus.connected).toBe(false));
    bus.subscribe("echo", echo);
    await restore();
    await vi.waitFor(() => expect(statuses.at(-1)?.type).toBe("reconnected"), { timeout: 10_000 });
    expect(text(await bus.request("echo", bytes("x"), { timeoutMs: 5_000 }))).toBe("x");
  });

  test("a publish or subscription that the role has no permission for is told, and the rest goes on", async () => {
    const { bus, statuses } = await connect("restricted");
    bus.subscribe("secret.plans", echo);
    bus.publish("secret.plans", bytes("x"));
    await vi.waitFor(() =>
      expect(statuses.slice(1)).toEqual([
        { type: "refused", operation: "subscribe", subject: "secret.plans" },
        { type: "refused", operation: "publish", subject: "secret.plans" },
      ]),
    );
    bus.subscribe("echo", echo);
    expect(text(await bus.request("echo", bytes("x"), { timeoutMs: 5_000 }))).toBe("x");
  });

  test("a request that the role has no permission for fails at once, others stay", async () => {
    const { bus } = await connect("restricted");
    bus.subscribe("slow", (message) => void bus.flush().then(() => echo(message)));
    const allowed = bus.request("slow", bytes("x"), { timeoutMs: 20_000 });
    await expect(bus.request("secret.plans", bytes("x"), { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      details: { operation: "publish", subject: "secret.plans" },
    });
    expect(text(await allowed)).toBe("x");
  });

  test("a role without an inbox is told so at each request instead of waiting", async () => {
    const { bus } = await connect("inboxless");
    bus.subscribe("echo", echo);
    for (const word of ["once", "twice"]) {
      await expect(bus.request("echo", bytes(word), { timeoutMs: 20_000 })).rejects.toMatchObject({
        code: "PERMISSION_DENIED",
        details: { operation: "subscribe" },
      });
    }
  });

  test("a listener that stopped listening hears nothing more", async () => {
    const { bus, statuses } = await connect();
    const heard: BusStatus[] = [];
    const stopListening = bus.onStatus((status) => heard.push(status));
    stopListening();
    await bus.close();
    expect([heard, statuses.at(-1)]).toEqual([[], { type: "closed" }]);
  });
}
