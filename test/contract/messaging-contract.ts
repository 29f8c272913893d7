import { describe, expect, test, vi } from "vitest";
import type { Form } from "../../src/protocol/codec.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { describeMessagingDeliveries } from "./messaging-contract-deliveries.ts";
import { describeMessagingGrants } from "./messaging-contract-grants.ts";
import { type BusForMessaging, bytes, call, messagingLab, scope, text } from "./messaging-lab.ts";

/** What messaging must do, whatever carries its messages. */
export function describeMessagingContract(carrier: string, start: () => Promise<BusForMessaging>): void {
  describe(`R5.3: messaging on ${carrier}`, () => {
    const lab = messagingLab(start);
    describeMessagingDeliveries(lab);
    describeMessagingGrants(lab);

    async function listen(filter: string) {
      const heard: { subject: string; body: string; replyTo: string | undefined }[] = [];
      lab.world.subscribe(filter, ({ subject, data, replyTo }) =>
        heard.push({ subject, body: text(data), replyTo }),
      );
      await lab.world.flush();
      return heard;
    }

    test.each<Form>(["json", "msgpack"])(
      "publish hands a message to whoever listens, in %s",
      async (form) => {
        const one = await lab.messaging();
        const heard = await listen("app.>");
        expect(await call(one, "publish", { topic: "app.a", body: "Grüße" }, scope(), form)).toEqual({});
        expect(
          await call(one, "publish", { topic: "app.b", body: { base64: "aGk=" } }, scope(), form),
        ).toEqual({});
        await vi.waitFor(() =>
          expect(heard).toEqual([
            { subject: "app.a", body: "Grüße", replyTo: undefined },
            { subject: "app.b", body: "hi", replyTo: undefined },
          ]),
        );
      },
    );

    test("headers travel, and those that are orders to the server or ours do not", async () => {
      const one = await lab.messaging();
      const heard: (string | undefined)[] = [];
      lab.world.subscribe("app.a", (message) => heard.push(message.header("Kind")));
      await lab.world.flush();
      await call(one, "publish", { topic: "app.a", body: "", headers: { Kind: "order" } });
      await vi.waitFor(() => expect(heard).toEqual(["order"]));
      for (const name of [
        "Nats-Rollup",
        "nats-expected-stream",
        "Wasmatrix-Error-Code",
        "Status",
        "",
        "a:b",
      ]) {
        await expectRefusal(
          call(one, "publish", { topic: "app.a", body: "", headers: { [name]: "1" } }),
          "INVALID_REQUEST",
          "header",
        );
      }
      await expectRefusal(
        call(one, "publish", { topic: "app.a", body: "", headers: { Kind: "a\r\nPUB x 0\r\n" } }),
        "INVALID_REQUEST",
        "header",
      );
    });

    test("request gives the first answer; nobody there and silence are failures", async () => {
      const one = await lab.messaging();
      lab.world.subscribe("app.double", (message) =>
        message.respond(bytes(text(message.data) + text(message.data))),
      );
      lab.world.subscribe("app.silent", () => undefined);
      await lab.world.flush();
      expect(await call(one, "request", { topic: "app.double", body: "ab" })).toEqual({
        body: bytes("abab"),
      });
      expect(await call(one, "request", { topic: "app.double", body: "ab" }, scope(), "json")).toEqual({
        body: "abab",
      });
      await expect(call(one, "request", { topic: "app.nobody", body: "" })).rejects.toMatchObject({
        code: "COMMUNICATION_FAILURE",
        details: { noResponders: true },
      });
      await expect(
        call(one, "request", { topic: "app.silent", body: "", timeoutMs: 30 }),
      ).rejects.toMatchObject({ code: "TIMEOUT" });
      await expectRefusal(
        call(one, "request", { topic: "app.silent", body: "", timeoutMs: 300_001 }),
        "INVALID_REQUEST",
        "timeoutMs",
      );
    });

    test("replyTo must be a topic that the guest may publish to", async () => {
      const one = await lab.messaging();
      const heard: string[] = [];
      lab.world.subscribe("app.a", (message) => heard.push(text(message.data)));
      await lab.world.flush();
      await expectRefusal(
        call(one, "publish", { topic: "app.a", body: "1", replyTo: "other.a" }),
        "PERMISSION_DENIED",
        "no permission covers the replyTo",
      );
      await expectRefusal(
        call(one, "publish", {
          topic: "app.a",
          body: "2",
          replyTo: "wasmatrix.node.v1.test.n1.instance.stop",
        }),
        "PERMISSION_DENIED",
        "belongs to a plane",
      );
      await call(one, "publish", { topic: "app.a", body: "3", replyTo: "app.answers" });
      await vi.waitFor(() => expect(heard).toEqual(["3"]));
    });

    test.each([
      "wasmatrix.call.v1.test.x.y",
      "WASMATRIX.x",
      "$SYS.REQ.SERVER.PING",
      "$JS.API.INFO",
      "$KV.a.b",
      "_INBOX.x",
      "_R_.x",
      ">",
      "*.x",
    ])("P3: %s is nobody's, with whatever grant", async (topic) => {
      const one = await lab.messaging();
      const all = scope({ permissions: ["msg:publish:>", "msg:subscribe:>", `msg:subscribe:${topic}`] });
      for (const operation of ["publish", "request", "subscribe"]) {
        const fields = operation === "subscribe" ? { topic } : { topic, body: "" };
        const attempt = call(one, operation, fields, all);
        await expect(attempt).rejects.toMatchObject({
          code: /[*>]/.test(topic) && operation !== "subscribe" ? "INVALID_REQUEST" : "PERMISSION_DENIED",
        });
      }
    });

    test.each([
      "",
      "a..b",
      "a b",
      "a\r\nPUB x 0",
      "a\0",
      "a\u00a0b",
      "a.b*",
      "a.>.b",
      "x".repeat(256),
      "app.*",
    ])("%j is not a topic to publish to", async (topic) => {
      const one = await lab.messaging();
      await expect(call(one, "publish", { topic, body: "" })).rejects.toMatchObject({
        code: "INVALID_REQUEST",
      });
    });

    test.each([
      ["no operation", "drop", {}],
      ['"extra" is not a field', "publish", { topic: "app.a", body: "", extra: 1 }],
      ["topic is not a string", "publish", { body: "" }],
      ["body is nothing", "publish", { topic: "app.a" }],
      ["body.base64 is not base64", "publish", { topic: "app.a", body: { base64: "%" } }],
      ["group is not a legal id", "subscribe", { topic: "app.a", group: "a\r\nSUB > 1" }],
    ])("P18: %s", async (message, operation, fields) => {
      const one = await lab.messaging();
      await expectRefusal(call(one, operation, fields), "INVALID_REQUEST", message);
    });

    test("a topic without a permission is refused", async () => {
      const one = await lab.messaging();
      await expectRefusal(
        call(one, "publish", { topic: "other.a", body: "" }),
        "PERMISSION_DENIED",
        "no permission covers the topic",
      );
      await expectRefusal(call(one, "subscribe", { topic: "other.>" }), "PERMISSION_DENIED", "no permission");
      await expectRefusal(
        call(one, "subscribe", { topic: "app.a" }, scope({ permissions: ["msg:publish:app.>"] })),
        "PERMISSION_DENIED",
        "no permission",
      );
    });
  });
}
