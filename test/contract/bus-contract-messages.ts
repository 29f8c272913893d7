import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { busLimits } from "../../src/limits.ts";
import type { Network } from "./bus-network.ts";
import { bytes, echo } from "./bus-network.ts";

/** Delivery, answers, callbacks and names. */
export function checkMessages({ connect, listen }: Network): void {
  test("a message reaches every subscriber whose filter matches, in order, and nobody else", async () => {
    const [{ bus: one }, { bus: other }] = [await connect(), await connect()];
    const exact = await listen(other, "a.b.c");
    const star = await listen(other, "a.*.c");
    const rest = await listen(other, "a.>");
    const foreign = await listen(other, "a.b");
    for (const word of ["1", "2", "3", "end"]) one.publish("a.b.c", bytes(word));
    one.publish("a.b", bytes("end"));
    await Promise.all([exact.marked, star.marked, rest.marked, foreign.marked]);
    expect([exact.received, star.received, rest.received, foreign.received]).toEqual([
      ["1", "2", "3"],
      ["1", "2", "3"],
      ["1", "2", "3"],
      [],
    ]);
  });

  test("each message reaches one member of a queue group, and everybody outside of it", async () => {
    const [{ bus: one }, { bus: other }] = [await connect(), await connect()];
    const left = await listen(one, "work", "workers");
    const right = await listen(other, "work", "workers");
    const outside = await listen(other, "work");
    const words = Array.from({ length: 40 }, (_, index) => `job ${index}`);
    for (const word of words) one.publish("work", bytes(word));
    one.publish("work", bytes("end"));
    await Promise.all([outside.marked, Promise.race([left.marked, right.marked])]);
    expect(outside.received).toEqual(words);
    await vi.waitFor(() => expect([...left.received, ...right.received].sort()).toEqual([...words].sort()));
  });

  test("only the first answer to a message is sent", async () => {
    const { bus } = await connect();
    const answers = await listen(bus, "_INBOX.test.answers");
    bus.subscribe("twice", (message) => {
      message.respond(bytes("first"));
      message.respond(bytes("second"));
      bus.publish("_INBOX.test.answers", bytes("end"));
    });
    bus.publish("twice", bytes("x"), { replyTo: "_INBOX.test.answers" });
    await answers.marked;
    expect(answers.received).toEqual(["first"]);
  });

  test("an answer never goes to a subject that is no inbox", async () => {
    const { bus, statuses } = await connect();
    const commands = await listen(bus, "commands.stop");
    const seen: unknown[] = [];
    bus.subscribe("ask", (message) => {
      seen.push(message.replyTo);
      message.respond(bytes("stop everything"));
      bus.publish("commands.stop", bytes("end"));
    });
    bus.publish("ask", bytes("x"), { replyTo: "commands.stop" });
    await commands.marked;
    expect([seen, commands.received]).toEqual([[undefined], []]);
    expect(statuses).toContainEqual({ type: "refused", operation: "publish", subject: "commands.stop" });
  });

  test("a callback that throws is reported and stops neither itself nor its neighbours", async () => {
    const { bus, statuses } = await connect();
    const error = new Error("a bug");
    let calls = 0;
    bus.subscribe("step", () => {
      calls += 1;
      throw error;
    });
    const neighbour = await listen(bus, "step");
    for (const word of ["1", "2", "end"]) bus.publish("step", bytes(word));
    await neighbour.marked;
    expect([calls, neighbour.received]).toEqual([3, ["1", "2"]]);
    const failed = { type: "callback-failed", subject: "step", error };
    expect(statuses.slice(1)).toEqual([failed, failed, failed]);
  });

  test("nothing is delivered after unsubscribe", async () => {
    const { bus } = await connect();
    const gone = await listen(bus, "topic");
    const stays = await listen(bus, "topic");
    bus.publish("topic", bytes("before"));
    await bus.flush();
    gone.subscription.unsubscribe();
    gone.subscription.unsubscribe();
    bus.publish("topic", bytes("after"));
    bus.publish("topic", bytes("end"));
    await stays.marked;
    expect([gone.received, stays.received]).toEqual([["before"], ["before", "after"]]);
  });

  test("a subscription that drains handles what was sent before, and nothing else", async () => {
    const { bus } = await connect();
    const drained = await listen(bus, "topic");
    const stays = await listen(bus, "topic");
    const words = Array.from({ length: 100 }, (_, index) => `before ${index}`);
    for (const word of words) bus.publish("topic", bytes(word));
    const draining = drained.subscription.drain();
    bus.publish("topic", bytes("after"));
    bus.publish("topic", bytes("end"));
    await Promise.all([draining, stays.marked]);
    await drained.subscription.drain();
    expect([drained.received, stays.received]).toEqual([words, [...words, "after"]]);
  });

  test("names that would be something else on the wire are refused", async () => {
    const { bus } = await connect();
    const invalid = expect.objectContaining({ code: "INVALID_REQUEST" });
    const long = "x".repeat(busLimits.subjectBytesMax + 1);
    const names = ["", " ", "a b", "a\r\nPUB b 0", "a\0b", "a\u2028b", ".a", "a.", "a..b", "ä", long];
    for (const subject of [...names, "a.*", "a.>"]) {
      expect(() => bus.publish(subject, bytes("x"))).toThrow(invalid);
      expect(() => bus.publish("a", bytes("x"), { replyTo: subject })).toThrow(invalid);
      await expect(bus.request(subject, bytes("x"), { timeoutMs: 1_000 })).rejects.toEqual(invalid);
    }
    for (const filter of [...names, "a.>.b", "a*"])
      expect(() => bus.subscribe(filter, echo)).toThrow(invalid);
    for (const queue of [...names, "q 1\r\nPUB a 0\r\n\r\n"]) {
      expect(() => bus.subscribe("a", echo, { queue })).toThrow(invalid);
    }
    const headers = [{ "": "v" }, { "a b": "v" }, { "a:b": "v" }, { "a\r\nb": "v" }, { Status: "503" }];
    const values = [
      "1\r\nEvil: 2",
      "1\n2",
      "\0",
      " outer",
      "\ud800",
      "x".repeat(busLimits.headerValueBytesMax + 1),
    ];
    for (const refused of [...headers, ...values.map((value) => ({ a: value }))]) {
      expect(() => bus.publish("a", bytes("x"), { headers: refused as Record<string, string> })).toThrow(
        invalid,
      );
    }
    const many = Object.fromEntries(
      Array.from({ length: busLimits.headersMax + 1 }, (_, index) => [`h${index}`, ""]),
    );
    expect(() => bus.publish("a", bytes("x"), { headers: many })).toThrow(invalid);
  });

  test("payloads and headers that are accepted arrive unchanged", async () => {
    const { bus } = await connect();
    bus.subscribe("echo", (message) => {
      const value = message.header("X-Value");
      message.respond(message.data, value === undefined ? undefined : { "X-Value": value });
    });
    const value = fc
      .string({ unit: "grapheme", maxLength: 40 })
      .filter((one) => !/[\r\n\0]/.test(one) && one === one.trim());
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), value, async (data, header) => {
        const answer = await bus.request("echo", data, {
          timeoutMs: 5_000,
          headers: { "X-Value": header },
        });
        expect(new Uint8Array(answer.data)).toEqual(data);
        expect(answer.header("x-value")).toBe(header);
      }),
      { numRuns: 200 },
    );
  });
}
