import { beforeAll, describe, expect, test } from "vitest";
import { Failure } from "../../../src/protocol/errors.ts";
import type { ComponentCode } from "../../../src/wasm/components/admit-component.ts";
import { brokerMessage } from "../../../src/wasm/components/world/messaging.ts";
import { admitted, callComponent, lifeOf, providedHost } from "../../support/component-host.ts";
import { bytesOf, textOf, thrownBy } from "../../support/guest-host.ts";

/** As published; https://github.com/wasmCloud/messaging. */
const wit = `package test:guest;
world guest {
  import wasmcloud:messaging/types@0.2.0;
  import wasmcloud:messaging/consumer@0.2.0;
  export wasmcloud:messaging/handler@0.2.0;
  export ask: func(topic: string) -> result<list<string>, string>;
}
package wasmcloud:messaging@0.2.0 {
  interface types {
    record broker-message { subject: string, body: list<u8>, reply-to: option<string> }
  }
  interface handler {
    use types.{broker-message};
    handle-message: func(msg: broker-message) -> result<_, string>;
  }
  interface consumer {
    use types.{broker-message};
    request: func(subject: string, body: list<u8>, timeout-ms: u32) -> result<broker-message, string>;
    publish: func(msg: broker-message) -> result<_, string>;
  }
}`;

/** Sends every message on, with what it says turned around; one that says "no" it refuses. */
const source = `
import consumer from "wasmcloud:messaging/consumer@0.2.0";
export const handler = {
  handleMessage({ subject, body, replyTo }) {
    if (String.fromCharCode(...body) === "no") throw "not that";
    consumer.publish({ subject: replyTo ?? subject + ".done", body: body.reverse(), replyTo: null });
  },
};
export function ask(topic) {
  const { subject, body, replyTo } = consumer.request(topic, new Uint8Array([63]), 250);
  return [subject, String.fromCharCode(...body), String(replyTo)];
}`;

describe("wasmcloud:messaging", () => {
  let code: ComponentCode;
  const asked: unknown[] = [];
  const messaging = (operation: string, { body, ...rest }: Record<string, unknown>) => {
    asked.push({ operation, body: textOf(body as Uint8Array), ...rest });
    if (rest["topic"] === "nobody") throw new Failure("COMMUNICATION_FAILURE", "nobody listens");
    return operation === "request" ? { body: bytesOf("yes") } : {};
  };
  beforeAll(async () => {
    code = await admitted(source, wit);
  });

  test("R5.3 P10: a component handles messages, publishes and asks", async () => {
    const guest = lifeOf(code, providedHost({ messaging }));
    asked.length = 0;
    const answers = [
      textOf(await guest.call("handle-message", bytesOf('{"subject":"orders.new","body":"abc"}'))),
      textOf(
        await guest.call(
          "handle-message",
          bytesOf('{"subject":"s","body":{"base64":"aGk="},"replyTo":"_INBOX.1"}'),
        ),
      ),
    ];
    expect(answers).toEqual(["", ""]);
    expect(await callComponent(guest, "ask", "prices")).toEqual(["prices", "yes", "null"]);
    expect(asked).toEqual([
      { operation: "publish", topic: "orders.new.done", body: "cba" },
      { operation: "publish", topic: "_INBOX.1", body: "ih" },
      { operation: "request", topic: "prices", body: "?", timeoutMs: 250 },
    ]);
  });

  test("what a provider refuses is an error of the interface, and the guest lives on", async () => {
    const guest = lifeOf(code, providedHost({ messaging }));
    expect(await thrownBy(() => callComponent(guest, "ask", "nobody"))).toMatchObject({
      code: "GUEST_ERROR",
      details: { error: "COMMUNICATION_FAILURE: nobody listens" },
    });
    expect(await callComponent(guest, "ask", "prices")).toEqual(["prices", "yes", "null"]);
  });

  test("R2.5: without a grant its error says so; what the guest refuses is its own error", async () => {
    const guest = lifeOf(code, providedHost({}));
    const refused = [
      await thrownBy(() => callComponent(guest, "ask", "prices")),
      await thrownBy(() => guest.call("handle-message", bytesOf('{"subject":"s","body":"no"}'))),
    ];
    expect(refused.map((failure) => (failure as Failure).details)).toEqual([
      { error: "PERMISSION_DENIED: the guest has no grant of type messaging" },
      { error: "not that" },
    ]);
  });
});

test("R13.5: a message that is none is refused and names the field", () => {
  const wrongs = [
    "[]",
    "{}",
    '{"subject":""}',
    '{"subject":"s","body":1}',
    '{"subject":"s","body":{"base64":"!"}}',
  ];
  wrongs.push('{"subject":"s","replyTo":{}}');
  const fields = wrongs.map((text) => {
    try {
      return brokerMessage(bytesOf(text));
    } catch (error) {
      return [(error as Failure).code, (error as Failure).details?.["field"]];
    }
  });
  expect(fields).toEqual(
    ["the payload", "subject", "subject", "body", "body", "replyTo"].map((field) => [
      "INVALID_REQUEST",
      field,
    ]),
  );
  expect(brokerMessage(bytesOf('{"subject":"s"}'))).toEqual({
    subject: "s",
    body: new Uint8Array(0),
    replyTo: undefined,
  });
});
