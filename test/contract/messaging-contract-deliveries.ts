import { describe, expect, test, vi } from "vitest";
import { Failure } from "../../src/protocol/errors.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { bytes, call, holderOf, type MessagingLab, quick, text } from "./messaging-lab.ts";

/** How messages reach a guest, what its answers become, and what is lost when there are too many. */
export function describeMessagingDeliveries(lab: MessagingLab): void {
  describe("deliveries", () => {
    test("a guest that subscribes is called with each message, in their order, until it unsubscribes", async () => {
      const one = await lab.messaging();
      const { handled } = await lab.guest("i-1");
      expect(await call(one, "subscribe", { topic: "app.*.done" })).toEqual({});
      one.granted([holderOf()]);
      for (const n of [1, 2, 3]) lab.world.publish(`app.${n}.done`, bytes(`m${n}`));
      await vi.waitFor(() =>
        expect(handled).toEqual([1, 2, 3].map((n) => ({ subject: `app.${n}.done`, body: `m${n}` }))),
      );
      expect(await call(one, "unsubscribe", { topic: "app.*.done" })).toEqual({});
      expect(one.stats()).toEqual({ subscriptions: 0, delivered: 3, failed: 0, dropped: 0 });
      await call(one, "subscribe", { topic: "app.end" });
      lab.world.publish("app.4.done", bytes("m4"));
      lab.world.publish("app.end", bytes("end"));
      await vi.waitFor(() => expect(handled.at(-1)?.body).toBe("end"));
      expect(handled).toHaveLength(4);
    });

    test("what a handler returns goes to the reply subject, and an empty answer goes nowhere", async () => {
      const one = await lab.messaging();
      await lab.guest("i-1", ({ body }) => bytes(body === "loud" ? "heard" : ""));
      await call(one, "subscribe", { topic: "app.ask" });
      one.granted([holderOf()]);
      const answer = await lab.world.request("app.ask", bytes("loud"), { timeoutMs: 5_000 });
      expect(text(answer.data)).toBe("heard");
      await expect(lab.world.request("app.ask", bytes("quiet"), { timeoutMs: 100 })).rejects.toMatchObject({
        code: "TIMEOUT",
      });
    });

    test("a handler may publish to the reply subject of the message it handles, and to no other inbox", async () => {
      const one = await lab.messaging();
      const refused: unknown[] = [];
      let former: string | undefined;
      await lab.guest("i-1", async ({ replyTo = "" }) => {
        await call(one, "publish", { topic: `${replyTo}.x`, body: "" }).catch((error: Failure) =>
          refused.push(error.code),
        );
        if (former !== undefined) {
          await call(one, "publish", { topic: "app.x", body: "", replyTo: former }).catch((error: Failure) =>
            refused.push(error.code),
          );
        }
        former = replyTo;
        await call(one, "publish", { topic: replyTo, body: "from inside" });
      });
      await call(one, "subscribe", { topic: "app.ask" });
      one.granted([holderOf()]);
      for (const question of ["one", "two"]) {
        const answer = await lab.world.request("app.ask", bytes(question), { timeoutMs: 5_000 });
        expect(text(answer.data)).toBe("from inside");
      }
      await vi.waitFor(() => expect(one.stats().delivered).toBe(2));
      expect(refused).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED", "PERMISSION_DENIED"]);
      await expectRefusal(
        call(one, "publish", { topic: former ?? "", body: "too late" }),
        "PERMISSION_DENIED",
        "belongs to a plane",
      );
    });

    test("an instance gets one message at a time, whichever subscription it came by", async () => {
      const one = await lab.messaging();
      let working = 0;
      let most = 0;
      const { handled } = await lab.guest("i-1", async () => {
        working += 1;
        most = Math.max(most, working);
        await lab.world.flush();
        working -= 1;
      });
      one.granted([holderOf({ config: { subscriptions: "app.a,app.b" } })]);
      await lab.bus.flush();
      for (let n = 0; n < 20; n += 1) lab.world.publish(n % 2 ? "app.a" : "app.b", bytes(`${n}`));
      await vi.waitFor(() => expect(handled).toHaveLength(20));
      expect(most).toBe(1);
    });

    test("a full queue drops its oldest, and every loss is counted and told", async () => {
      const told: [string, string, number][] = [];
      const one = await lab.messaging({
        limits: { ...quick, queuedMessagesMax: 3 },
        onDropped: ({ instanceId }, topic, count) => told.push([instanceId, topic, count]),
      });
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      const { handled, bodies } = await lab.guest("i-1", () => held);
      one.granted([holderOf({ config: { subscriptions: "app.a" } })]);
      await lab.bus.flush();
      lab.world.publish("app.a", bytes("first"));
      await vi.waitFor(() => expect(handled).toHaveLength(1));
      for (let n = 1; n <= 10; n += 1) lab.world.publish("app.a", bytes(`m${n}`));
      await vi.waitFor(() => expect(one.stats().dropped).toBe(7));
      release();
      await vi.waitFor(() => expect(bodies()).toEqual(["first", "m8", "m9", "m10"]));
      await vi.waitFor(() => expect(told.reduce((sum, [, , count]) => sum + count, 0)).toBe(7));
      expect(new Set(told.map(([id, topic]) => `${id} ${topic}`))).toEqual(new Set(["i-1 app.a"]));
      await vi.waitFor(() =>
        expect(one.stats()).toEqual({ subscriptions: 1, delivered: 4, failed: 0, dropped: 7 }),
      );
    });

    test("R8.1: a message waits for an instance that is away, and a guest's failure is its own", async () => {
      const one = await lab.messaging({ limits: { ...quick, unreachableMs: 20_000 } });
      one.granted([holderOf({ config: { subscriptions: "app.a" } })]);
      await lab.bus.flush();
      lab.world.publish("app.a", bytes("early"));
      await lab.world.flush();
      const { handled } = await lab.guest("i-1", ({ body }) => {
        if (body === "bad") throw new Failure("GUEST_TRAPPED", "unreachable");
      });
      for (const body of ["bad", "good"]) lab.world.publish("app.a", bytes(body));
      await vi.waitFor(() => expect(handled.map(({ body }) => body)).toEqual(["early", "bad", "good"]));
      await vi.waitFor(() =>
        expect(one.stats()).toEqual({ subscriptions: 1, delivered: 2, failed: 1, dropped: 0 }),
      );
    });

    test("a message for an instance that stays away is dropped and told", async () => {
      const told: number[] = [];
      const one = await lab.messaging({ onDropped: (_, __, count) => told.push(count) });
      one.granted([holderOf({ config: { subscriptions: "app.a" } })]);
      await lab.bus.flush();
      lab.world.publish("app.a", bytes("lost"));
      await vi.waitFor(() => expect(told).toEqual([1]));
      expect(one.stats().dropped).toBe(1);
    });

    test("P20: once closed every call is refused and no message is delivered", async () => {
      const one = await lab.messaging();
      const { handled } = await lab.guest("i-1");
      one.granted([holderOf({ config: { subscriptions: "app.a" } })]);
      await Promise.all([one.close(), one.close()]);
      await expectRefusal(
        call(one, "publish", { topic: "app.a", body: "" }),
        "PROVIDER_UNAVAILABLE",
        "messaging provider is closed",
      );
      one.granted([holderOf({ config: { subscriptions: "app.a" } })]);
      await expect(lab.world.request("app.a", bytes(""), { timeoutMs: 1_000 })).rejects.toMatchObject({
        details: { noResponders: true },
      });
      expect(handled).toEqual([]);
    });
  });
}
