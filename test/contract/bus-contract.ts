import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Bus, BusMessage, BusStatus } from "../../src/bus/bus.ts";
import { busLimits } from "../../src/limits.ts";

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

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (message: BusMessage): string => new TextDecoder().decode(message.data);
const echo = (message: BusMessage): void => message.respond(message.data);

/** What every bus does, whatever carries it. */
export function busContract(name: string, start: () => Promise<BusUnderTest>): void {
  describe(`${name} keeps the contract of the bus:`, () => {
    let network: BusUnderTest;
    const opened: Bus[] = [];

    beforeAll(async () => {
      network = await start();
    });
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((bus) => bus.close()));
    });
    afterAll(() => network.stop());

    async function connect(role: ContractRole = "open") {
      const statuses: BusStatus[] = [];
      const bus = await network.connect(role, (status) => statuses.push(status));
      opened.push(bus);
      return { bus, statuses };
    }

    /** Texts received on a filter; `marked` resolves once `end` has come, after everything sent before it. */
    async function listen(bus: Bus, filter: string, queue?: string) {
      const received: string[] = [];
      const marked = Promise.withResolvers<void>();
      const subscription = bus.subscribe(
        filter,
        (message) => {
          if (text(message) === "end") marked.resolve();
          else received.push(text(message));
        },
        queue === undefined ? {} : { queue },
      );
      await bus.flush();
      return { received, subscription, marked: marked.promise };
    }

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
      expect(() => bus.publish("big", payload)).toThrow(
        expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
      );
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

    test("a status listener that throws is reported to the others", async () => {
      const { bus, statuses } = await connect();
      const error = new Error("a bug of a listener");
      bus.onStatus(() => {
        throw error;
      });
      await bus.close();
      expect(statuses.slice(1)).toEqual([
        { type: "closed" },
        { type: "callback-failed", subject: "", error },
      ]);
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
      const answers = Promise.all(
        words.map((word) => one.request("echo", bytes(word), { timeoutMs: 10_000 })),
      );
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
      await network.interrupt();
      await lost;
      await vi.waitFor(() => expect(statuses.slice(1)).toEqual([{ type: "disconnected" }]));
      const notSent = { code: "COMMUNICATION_FAILURE", details: { safeToRepeat: true } };
      expect(one.connected).toBe(false);
      expect(() => one.publish("echo", bytes("x"))).toThrow(
        expect.objectContaining({ code: "COMMUNICATION_FAILURE" }),
      );
      await expect(one.request("echo", bytes("x"), { timeoutMs: 5_000 })).rejects.toMatchObject(notSent);
      await expect(one.flush()).rejects.toMatchObject(notSent);

      await network.restore();
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
      await network.interrupt();
      await vi.waitFor(() => expect(bus.connected).toBe(false));
      bus.subscribe("echo", echo);
      await network.restore();
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
  });
}
