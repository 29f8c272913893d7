import { describe, expect, test, vi } from "vitest";
import { expectRefusal } from "../support/expect-refusal.ts";
import { bytes, call, holderOf, type MessagingLab, quick, scope } from "./messaging-lab.ts";

/** Who gets messages, and until when. */
export function describeMessagingGrants(lab: MessagingLab): void {
  describe("grants", () => {
    test("a grant's own list subscribes without being asked, as far as its permissions go", async () => {
      const warnings: object[] = [];
      const one = await lab.messaging({ log: { warn: (details) => warnings.push(details) } });
      const { handled } = await lab.guest("i-1");
      const listed = holderOf({ config: { subscriptions: "app.a, app.b.*,app.b.c,other.x,wasmatrix.>" } });
      one.granted([listed]);
      one.granted([listed, holderOf({ instanceId: "i-2" })]);
      expect(one.stats().subscriptions).toBe(2);
      await lab.bus.flush();
      for (const topic of ["other.x", "app.b.c", "app.a"]) lab.world.publish(topic, bytes(topic));
      await vi.waitFor(() =>
        expect(handled.map(({ body }) => body).toSorted()).toEqual(["app.a", "app.b.c"]),
      );
      expect(warnings.map((one) => (one as { topic: string }).topic)).toEqual(["other.x", "wasmatrix.>"]);
      one.granted([holderOf({ config: { subscriptions: "app.a" } })]);
      expect(one.stats().subscriptions).toBe(1);
      one.granted([]);
      expect(one.stats().subscriptions).toBe(0);
    });

    test("what a guest asked for ends with its grant, with its permission and with its life", async () => {
      const one = await lab.messaging();
      const subscribe = () => call(one, "subscribe", { topic: "app.a" });
      await subscribe();
      one.granted([holderOf({ instanceId: "i-2" })]);
      expect(one.stats().subscriptions).toBe(1);
      one.granted([holderOf()]);
      expect(one.stats().subscriptions).toBe(1);
      one.granted([holderOf({ permissions: ["msg:subscribe:app.b"] })]);
      expect(one.stats().subscriptions).toBe(0);
      await subscribe();
      one.granted([holderOf({ incarnation: 2, nodeId: "n2" }), holderOf()]);
      expect(one.stats().subscriptions).toBe(0);
      await subscribe();
      one.granted([]);
      expect(one.stats().subscriptions).toBe(0);
    });

    test("a new life that is told of in the same turn does not end what that life asks for", async () => {
      const one = await lab.messaging();
      one.granted([holderOf()]);
      queueMicrotask(() => one.granted([holderOf({ incarnation: 2 })]));
      await call(one, "subscribe", { topic: "app.a" });
      expect(one.stats().subscriptions).toBe(1);
      const late = call(one, "subscribe", { topic: "app.b" });
      const closed = one.close();
      await expectRefusal(late, "PROVIDER_UNAVAILABLE", "closed");
      await closed;
      expect(one.stats().subscriptions).toBe(0);
    });

    test("a call may rest on a grant that is told of later; news of others do not end what it asked for", async () => {
      const one = await lab.messaging();
      const holder = holderOf({ permissions: ["msg:subscribe:app.a"] });
      one.granted([holder]);
      await call(one, "subscribe", { topic: "app.b" });
      one.granted([holder, holderOf({ instanceId: "i-2" })]);
      expect(one.stats().subscriptions).toBe(1);
      one.granted([holderOf({ permissions: ["msg:subscribe:app.b"] })]);
      expect(one.stats().subscriptions).toBe(1);
      one.granted([holder]);
      expect(one.stats().subscriptions).toBe(0);
    });

    test("a subscription whose grant nobody ever tells of ends by itself", async () => {
      const one = await lab.messaging({ limits: { ...quick, unconfirmedMs: 20 } });
      await call(one, "subscribe", { topic: "app.a" });
      expect(one.stats().subscriptions).toBe(1);
      await vi.waitFor(() => expect(one.stats().subscriptions).toBe(0));
    });

    test("of the copies of a name exactly one gets each message, and one of each group", async () => {
      const one = await lab.messaging();
      const names = ["i-1", "i-2", "i-3"];
      const guests = await Promise.all(names.map((name) => lab.guest(name)));
      const other = await lab.guest("o-1");
      const config = { subscriptions: "app.work" };
      one.granted([
        ...names.map((instanceId) => holderOf({ instanceId, name: "worker", config })),
        holderOf({ instanceId: "o-1", name: "other", config }),
      ]);
      const apart = scope({ instanceId: "i-1", name: "worker" });
      await call(one, "subscribe", { topic: "app.work", group: "audit" }, apart);
      const sent = Array.from({ length: 60 }, (_, index) => `m${index}`);
      for (const body of sent) lab.world.publish("app.work", bytes(body));
      await vi.waitFor(() => expect(one.stats().delivered).toBe(180));
      const all = guests.flatMap(({ bodies }) => bodies());
      expect(all.toSorted()).toEqual([...sent, ...sent].toSorted());
      expect(other.bodies()).toEqual(sent);
    });

    test("subscriptionsPerInstanceMax holds", async () => {
      const one = await lab.messaging({ limits: { ...quick, subscriptionsPerInstanceMax: 2 } });
      await call(one, "subscribe", { topic: "app.a" });
      await call(one, "subscribe", { topic: "app.b" });
      await call(one, "subscribe", { topic: "app.b", group: "g" });
      await expectRefusal(
        call(one, "subscribe", { topic: "app.c" }),
        "RESOURCE_EXHAUSTED",
        "subscriptionsPerInstanceMax, 2",
      );
      expect(one.stats().subscriptions).toBe(2);
    });

    test("what waits when a grant ends is not delivered", async () => {
      const one = await lab.messaging();
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      const { handled, bodies } = await lab.guest("i-1", () => held);
      one.granted([holderOf({ config: { subscriptions: "app.a" } })]);
      await lab.bus.flush();
      for (const body of ["first", "second"]) lab.world.publish("app.a", bytes(body));
      await vi.waitFor(() => expect(handled).toHaveLength(1));
      await lab.world.flush();
      await lab.bus.flush();
      one.granted([]);
      release();
      await vi.waitFor(() => expect(one.stats().delivered).toBe(1));
      one.granted([holderOf({ config: { subscriptions: "app.a" } })]);
      await lab.bus.flush();
      lab.world.publish("app.a", bytes("third"));
      await vi.waitFor(() => expect(bodies()).toEqual(["first", "third"]));
    });

    test("P19: instances of one name in two lattices do not take each other's messages", async () => {
      const one = await lab.messaging();
      const other = await lab.messaging({ lattice: "other" });
      const config = { subscriptions: "app.work" };
      const guests = [await lab.guest("i-1"), await lab.guest("i-1", undefined, "other")];
      one.granted([holderOf({ config }), holderOf({ config, lattice: "other" })]);
      other.granted([holderOf({ config, lattice: "other" })]);
      await Promise.all([one.check?.(), other.check?.()]);
      const sent = Array.from({ length: 20 }, (_, index) => `m${index}`);
      for (const body of sent) lab.world.publish("app.work", bytes(body));
      await vi.waitFor(() => expect(guests.map(({ bodies }) => bodies())).toEqual([sent, sent]));
      await expectRefusal(
        call(one, "subscribe", { topic: "app.a" }, scope({ lattice: "other" })),
        "INVALID_REQUEST",
        "serves the lattice test alone",
      );
    });
  });
}
