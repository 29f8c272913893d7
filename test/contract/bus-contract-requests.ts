import { expect, test } from "vitest";
import { replyTokenOf, type WaitingRequest } from "../../src/bus/bus.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Network } from "./bus-network.ts";
import { bytes, echo, text } from "./bus-network.ts";

/** Requests, and the sizes of messages. */
export function checkRequests({ connect, listen }: Network): void {
  test("a request gets its own answer, and the responder sees an inbox and the headers", async () => {
    const [{ bus: one }, { bus: other }] = [await connect(), await connect()];
    const seen: unknown[] = [];
    other.subscribe("greet", (message) => {
      seen.push([message.subject, message.replyTo?.startsWith("_INBOX."), message.header("trace-id")]);
      seen.push(message.headerNames());
      message.respond(bytes(`hello ${text(message)}`), { Lang: "en" });
    });
    await other.flush();
    const answer = await one.request("greet", bytes("you"), {
      timeoutMs: 5_000,
      headers: { "Trace-Id": "t-1" },
    });
    expect(seen).toEqual([["greet", true, "t-1"], ["Trace-Id"]]);
    expect([text(answer), answer.header("lang"), answer.header("none"), answer.headerNames()]).toEqual([
      "hello you",
      "en",
      undefined,
      ["Lang"],
    ]);
  });

  test("a thousand requests at once get the right answers", async () => {
    const [{ bus: one }, { bus: other }] = [await connect(), await connect()];
    other.subscribe("echo.*", echo);
    await other.flush();
    const words = Array.from({ length: 1_000 }, (_, index) => `word ${index}`);
    const answers = await Promise.all(
      words.map((word, index) => one.request(`echo.${index % 7}`, bytes(word), { timeoutMs: 10_000 })),
    );
    expect(answers.map(text)).toEqual(words);
  });

  test("a request that nobody listens to fails at once and says so", async () => {
    const { bus } = await connect();
    await expect(bus.request("nobody", bytes("x"), { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
      details: { subject: "nobody", noResponders: true, safeToRepeat: true },
    });
  });

  test("a request that nobody answers in time fails with TIMEOUT", async () => {
    const { bus } = await connect();
    bus.subscribe("silent", () => {});
    await expect(bus.request("silent", bytes("x"), { timeoutMs: 30 })).rejects.toMatchObject({
      code: "TIMEOUT",
      details: { subject: "silent", timeoutMs: 30, safeToRepeat: false },
    });
  });

  test("a caller whose time is up already sends nothing", async () => {
    const { bus } = await connect();
    const silent = await listen(bus, "silent");
    for (const timeoutMs of [0, -5, Number.NaN]) {
      await expect(bus.request("silent", bytes("x"), { timeoutMs })).rejects.toMatchObject({
        code: "TIMEOUT",
      });
    }
    bus.publish("silent", bytes("end"));
    await silent.marked;
    expect(silent.received).toEqual([]);
  });

  test("a request rejects with its signal's reason, before and after it is sent", async () => {
    const { bus } = await connect();
    const silent = await listen(bus, "silent");
    const reason = new Error("changed my mind");
    const aborted = bus.request("silent", bytes("early"), {
      timeoutMs: 20_000,
      signal: AbortSignal.abort(reason),
    });
    await expect(aborted).rejects.toBe(reason);
    const later = new AbortController();
    const pending = bus.request("silent", bytes("late"), { timeoutMs: 20_000, signal: later.signal });
    later.abort(reason);
    await expect(pending).rejects.toBe(reason);
    bus.publish("silent", bytes("end"));
    await silent.marked;
    expect(silent.received).toEqual(["late"]);
  });

  test("what is larger than the bus carries is refused with both numbers before anything is sent", async () => {
    const { bus } = await connect();
    const heard = await listen(bus, "big");
    const payload = new Uint8Array(bus.maxPayloadBytes + 1);
    const tooLarge = {
      code: "PAYLOAD_TOO_LARGE",
      details: { subject: "big", payloadBytes: payload.length, maxPayloadBytes: bus.maxPayloadBytes },
    };
    expect(() => bus.publish("big", payload)).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
    await expect(bus.request("big", payload, { timeoutMs: 5_000 })).rejects.toMatchObject(tooLarge);
    expect(() => bus.publish("big", payload.subarray(1), { headers: { Name: "value" } })).toThrow(
      expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
    );
    bus.publish("big", bytes("end"));
    await heard.marked;
    expect(heard.received).toEqual([]);
  });

  test("an answer that is too large is refused, and another can still be given", async () => {
    const { bus } = await connect();
    bus.subscribe("big", (message) => {
      try {
        message.respond(new Uint8Array(bus.maxPayloadBytes + 1));
      } catch (error) {
        message.respond(bytes((error as { code: string }).code));
      }
    });
    expect(text(await bus.request("big", bytes("x"), { timeoutMs: 5_000 }))).toBe("PAYLOAD_TOO_LARGE");
  });

  test("a message as large as the bus carries arrives", async () => {
    const { bus } = await connect();
    bus.subscribe("big", (message) => message.respond(bytes(String(message.data.length))));
    const answer = await bus.request("big", new Uint8Array(bus.maxPayloadBytes), { timeoutMs: 10_000 });
    expect(text(answer)).toBe(String(bus.maxPayloadBytes));
  });

  test("a request that waits long is told of under the token that its holder sees, and can be given up", async () => {
    const [{ bus: one }, { bus: other }] = [await connect(), await connect()];
    const silent = await listen(other, "silent");
    const tokens: string[] = [];
    other.subscribe("silent", (message) => tokens.push(replyTokenOf(message)));
    await other.flush();
    const waiting = new Promise<readonly WaitingRequest[]>((resolve) => void one.onSlow(resolve));
    const pending = one.request("silent", bytes("end"), { timeoutMs: 20_000 });
    await silent.marked;
    const slow = await waiting;
    expect(slow).toEqual([{ subject: "silent", token: tokens[0], waitedMs: expect.any(Number) }]);
    const failure = new Failure("COMMUNICATION_FAILURE", "its worker was lost");
    one.giveUp("unknown", failure);
    one.giveUp(tokens[0] ?? "", failure);
    await expect(pending).rejects.toBe(failure);
  });
}
