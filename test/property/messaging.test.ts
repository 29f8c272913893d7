import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMessageQueue } from "../../src/capabilities/messaging/message-queue.ts";
import { createNatsMessaging } from "../../src/capabilities/messaging/nats-messaging.ts";
import { topicsIn } from "../../src/capabilities/messaging/topics.ts";
import { messagingLimits } from "../../src/limits.ts";
import { encode } from "../../src/protocol/codec.ts";
import { errorBody } from "../../src/protocol/errors.ts";
import { capabilityScope } from "../support/capability-scope.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { subjectMatches } from "../support/subject-matches.ts";
import { virtualClock } from "../support/virtual-clock.ts";

// Few tokens, so that topics and grants meet; those of planes that are nobody's, and what is no token at all.
const plain = fc.constantFrom("a", "b", "c");
const odd = fc.constantFrom(
  "wasmatrix",
  "$SYS",
  "$JS",
  "_INBOX",
  "",
  "a b",
  "x\r\nPUB y 0",
  "a*",
  "é",
  "$KV",
);
const topic = fc
  .array(fc.oneof({ weight: 6, arbitrary: plain }, odd, fc.constantFrom("*", ">")), {
    minLength: 1,
    maxLength: 4,
  })
  .map((tokens) => tokens.join("."));
const granted = fc
  .tuple(
    fc.array(fc.oneof({ weight: 4, arbitrary: plain }, fc.constant("*"), fc.constantFrom("$SYS", "_INBOX")), {
      maxLength: 3,
    }),
    fc.boolean(),
  )
  .map(([tokens, isOpen]) => (isOpen || tokens.length === 0 ? [...tokens, ">"] : tokens).join("."));

const wanted = fc.oneof(
  topic,
  fc.constantFrom("a", "b", "a.*", "a.>", "*.a", ">", "b.a.b", "*", "a.*.b", "$SYS.>", "_INBOX.a"),
);

const reserved = ["wasmatrix", "$sys", "$js", "$kv", "_inbox"];
const isReserved = (one: string) => reserved.includes((one.split(".")[0] ?? "").toLowerCase());
const isConcrete = (one: string) => /^[a-zA-Z$_]+(\.[a-zA-Z$_]+)*$/.test(one);

describe("P4, R2.3: a message leaves if and only if a grant covers its topic and the topic is an application's", () => {
  test("for any topic, any replyTo and any grants", async () => {
    const clock = virtualClock();
    const server = startMemoryServer({ clock });
    const observer = server.connect();
    const sent: string[] = [];
    observer.subscribe(">", ({ subject }) => sent.push(subject));
    const messaging = createNatsMessaging({ bus: server.connect(), lattice: "test", clock });
    let left = 0;
    await fc.assert(
      fc.asyncProperty(
        topic,
        fc.option(topic, { nil: undefined, freq: 3 }),
        fc.array(granted, { maxLength: 3 }),
        fc.array(granted, { maxLength: 2 }),
        async (to, replyTo, mayPublish, maySubscribe) => {
          const permissions = [
            ...mayPublish.map((one) => `msg:publish:${one}`),
            ...maySubscribe.map((one) => `msg:subscribe:${one}`),
          ];
          const isAllowed = (one: string) =>
            isConcrete(one) && !isReserved(one) && mayPublish.some((grant) => subjectMatches(grant, one));
          const fields = { topic: to, body: "", ...(replyTo === undefined ? {} : { replyTo }) };
          const outcome = await messaging
            .call(capabilityScope({ permissions }), "publish", encode(fields, "msgpack"))
            .then(
              () => "sent",
              (error: unknown) => errorBody(error, "").code,
            );
          await clock.advance(0);
          const shallLeave = isAllowed(to) && (replyTo === undefined || isAllowed(replyTo));
          expect(sent.splice(0)).toEqual(shallLeave ? [to] : []);
          if (shallLeave) left += 1;
          expect(outcome).toBe(
            shallLeave
              ? "sent"
              : isConcrete(to) && (replyTo === undefined || isConcrete(replyTo))
                ? "PERMISSION_DENIED"
                : outcome,
          );
          expect(["sent", "PERMISSION_DENIED", "INVALID_REQUEST"]).toContain(outcome);
        },
      ),
      { numRuns: 1_000 },
    );
    // Otherwise the property would be about refusals alone.
    expect(left).toBeGreaterThan(30);
  });

  test("for any subscription: what a guest hears, its grants cover", async () => {
    const clock = virtualClock();
    const server = startMemoryServer({ clock });
    const observer = server.connect();
    const heard: string[] = [];
    let heardInAll = 0;
    const subjects = ["a", "b", "c"].flatMap((one) => [one, `${one}.a`, `${one}.b`, `${one}.a.b`]);
    const planes = ["wasmatrix.a", "$SYS.a", "_INBOX.a", "$JS.a"];
    await fc.assert(
      fc.asyncProperty(wanted, fc.array(granted, { minLength: 1, maxLength: 2 }), async (to, grants) => {
        const bus = server.connect();
        const messaging = createNatsMessaging({ bus, lattice: "test", clock });
        const permissions = grants.map((one) => `msg:subscribe:${one}`);
        const spy = observer.subscribe("wasmatrix.call.v1.test.*.*", (message) => {
          heard.push(message.subject);
          message.respond(new Uint8Array(0));
        });
        await messaging
          .call(capabilityScope({ permissions }), "subscribe", encode({ topic: to }, "msgpack"))
          .catch(() => undefined);
        for (const subject of [...planes, ...subjects]) {
          observer.publish(subject, new Uint8Array(0));
          await clock.advance(0);
          const isHeard = heard.splice(0).length > 0;
          const isCovered = grants.some((grant) => subjectMatches(grant, subject));
          if (isHeard) {
            heardInAll += 1;
            expect(subjectMatches(to, subject)).toBe(true);
            expect(isCovered).toBe(true);
            expect(planes).not.toContain(subject);
          }
        }
        spy.unsubscribe();
        await messaging.close();
        await bus.close();
      }),
      { numRuns: 200 },
    );
    expect(heardInAll).toBeGreaterThan(30);
  });
});

test("R5.3: a queue keeps the newest messages, within all of its bounds, and counts the others", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat({ max: 60 }), fc.constant("shift" as const)), { maxLength: 60 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 100 }),
      (steps, queuedMessagesMax, queuedBytesMax) => {
        const all = { total: 0 };
        const queue = createMessageQueue(
          {
            ...messagingLimits,
            queuedMessagesMax,
            queuedBytesMax,
            queuedEntryBytes: 0,
            queuedBytesTotalMax: 80,
          },
          all,
        );
        const kept: string[] = [];
        let pushed = 0;
        let dropped = 0;
        let taken = 0;
        for (const [index, step] of steps.entries()) {
          if (step === "shift") {
            const message = queue.shift();
            expect(message?.subject).toBe(kept.shift());
            if (message !== undefined) taken += 1;
            continue;
          }
          const lost = queue.push({ subject: `m${index}`, body: new Uint8Array(step) });
          pushed += 1;
          dropped += lost;
          kept.push(`m${index}`);
          kept.splice(0, lost);
          expect(queue.length).toBe(kept.length);
          expect(queue.length).toBeLessThanOrEqual(queuedMessagesMax);
          expect(all.total).toBeLessThanOrEqual(Math.max(80, queuedBytesMax));
        }
        expect(pushed).toBe(taken + dropped + queue.length);
        queue.clear();
        expect(all.total).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});

test("R5.3: of topics that are listed none covers another one, and all of them are covered", () => {
  const listed = fc.array(granted, { maxLength: 5 });
  fc.assert(
    fc.property(listed, (topics) => {
      const left = topicsIn(topics.join(" , "));
      for (const one of topics) expect(left.some((other) => covers(other, one))).toBe(true);
      for (const [index, one] of left.entries()) {
        expect(left.some((other, place) => place !== index && covers(other, one))).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});

/** Whether every subject of `narrow` is one of `wide`, by trying its wildcards out. */
function covers(wide: string, narrow: string): boolean {
  const sample = (rest: string) => narrow.replaceAll("*", "star").replace(/>$/, rest);
  return ["z", "z.z", "a"].every((rest) => subjectMatches(wide, sample(rest)));
}
