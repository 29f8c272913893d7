import { once } from "node:events";
import { connect as connectSocket, Socket } from "node:net";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import type { NatsServer } from "../support/nats-server.ts";
import { startNatsServer } from "../support/nats-server.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

let server: NatsServer;
let one: Bus;
let other: Bus;

beforeAll(async () => {
  server = await startNatsServer();
  const options = { servers: server.url, connectTimeoutMs: 5_000 };
  one = await connectNats({ ...options, name: "one", inboxPrefix: "_INBOX.node.one" });
  other = await connectNats({ ...options, name: "other" });
});
afterAll(async () => {
  await Promise.all([one.close(), other.close()]);
  await server.stop();
});

test("ten thousand requests at once get the right answers, each its own", async () => {
  const subscription = other.subscribe("double.*", (message) => {
    const number = Number(new TextDecoder().decode(message.data));
    message.respond(bytes(`${message.subject} ${2 * number}`));
  });
  await other.flush();
  const numbers = Array.from({ length: 10_000 }, (_, index) => index);
  const answers = await Promise.all(
    numbers.map((number) =>
      one.request(`double.${number % 100}`, bytes(String(number)), { timeoutMs: 20_000 }),
    ),
  );
  subscription.unsubscribe();
  expect(answers.map(({ data }) => new TextDecoder().decode(data))).toEqual(
    numbers.map((number) => `double.${number % 100} ${2 * number}`),
  );
});

test("answers go to the inbox prefix of the requester's role, under tokens that differ", async () => {
  const inboxes: string[] = [];
  const subscription = other.subscribe("where", (message) => {
    inboxes.push(message.replyTo ?? "");
    message.respond(message.data);
  });
  await other.flush();
  for (let call = 0; call < 1_100; call += 1) await one.request("where", bytes("x"), { timeoutMs: 5_000 });
  subscription.unsubscribe();
  expect(new Set(inboxes).size).toBe(1_100);
  for (const inbox of inboxes) expect(inbox).toMatch(/^_INBOX\.node\.one\.[\w-]{12}\.[\w-]{12}$/);
});

test("answers given within the callback share socket writes", async () => {
  const subscription = other.subscribe("echo", (message) => message.respond(message.data));
  await other.flush();
  const write = vi.spyOn(Socket.prototype, "write");
  await Promise.all(Array.from({ length: 400 }, () => one.request("echo", bytes("x"), { timeoutMs: 5_000 })));
  const writes = write.mock.calls.length;
  write.mockRestore();
  subscription.unsubscribe();
  // Requests and answers: 800 messages; one write each would be 800.
  expect(writes).toBeLessThan(80);
});

test("headers that are no headers reach the subscriber as a message without any", async () => {
  const seen: unknown[] = [];
  const subscription = other.subscribe("raw", (message) => {
    seen.push([message.header("a"), message.headerNames(), new TextDecoder().decode(message.data)]);
  });
  await other.flush();
  const peer = connectSocket(server.port, "127.0.0.1");
  await once(peer, "connect");
  const headers = "NATS/1.0\r\n\u0001bad name: 1\r\n\r\n";
  peer.write(`CONNECT {"verbose":false,"headers":true}\r\n`);
  peer.write(`HPUB raw ${headers.length} ${headers.length + 4}\r\n${headers}data\r\nPUB raw 3\r\nend\r\n`);
  await vi.waitFor(() => expect(seen).toHaveLength(2));
  peer.destroy();
  subscription.unsubscribe();
  expect(seen).toEqual([
    [undefined, [], "data"],
    [undefined, [], "end"],
  ]);
});

test("a peer cannot answer a request whose token it does not know", async () => {
  const prefixes: string[] = [];
  const subscription = other.subscribe("ask", (message) => {
    prefixes.push((message.replyTo ?? "").split(".").slice(0, -1).join("."));
    // A forger that knows the inbox, and answers first.
    for (const token of ["0", "AAAAAAAAAAAA"]) other.publish(`${prefixes[0]}.${token}`, bytes("forged"));
    message.respond(bytes("true"));
  });
  await other.flush();
  const answer = await one.request("ask", bytes("x"), { timeoutMs: 5_000 });
  subscription.unsubscribe();
  expect(new TextDecoder().decode(answer.data)).toBe("true");
});
