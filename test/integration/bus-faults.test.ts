import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import type { Bus, BusStatus } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { busLimits } from "../../src/limits.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const open: Bus[] = [];

/** The interval in which pings go out, one for the answer that does not come, and the socket's last moment. */
const noticeMs = busLimits.pingIntervalMs * (busLimits.pingsUnansweredMax + 1) + busLimits.staleSocketMs;
/** For timers and scheduling on a machine that is busy with other tests. */
const slackMs = 1_500;

afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close()));
});

async function connect(servers: string) {
  const statuses: BusStatus[] = [];
  const bus = await connectNats({
    servers,
    name: "faults",
    connectTimeoutMs: 5_000,
    onStatus: (status) => statuses.push(status),
  });
  open.push(bus);
  return { bus, statuses, types: () => statuses.map(({ type }) => type) };
}

test("a frozen server is noticed within the ping budget, and its thaw brings the bus back", async () => {
  await using server = await startNatsServer();
  const { bus, types } = await connect(server.url);
  bus.subscribe("echo", (message) => message.respond(message.data));
  await bus.flush();

  server.freeze();
  const frozenAt = performance.now();
  await expect(bus.request("echo", bytes("x"), { timeoutMs: 60_000 })).rejects.toMatchObject({
    code: "COMMUNICATION_FAILURE",
    details: { safeToRepeat: false },
  });
  expect(performance.now() - frozenAt).toBeLessThan(noticeMs + slackMs);
  expect(types()).toEqual(["connected", "disconnected"]);

  server.thaw();
  await vi.waitFor(() => expect(types().at(-1)).toBe("reconnected"), { timeout: 10_000 });
  const answer = await bus.request("echo", bytes("again"), { timeoutMs: 5_000 });
  expect(new TextDecoder().decode(answer.data)).toBe("again");
});

test("a partition is noticed within the ping budget even with unsent data", async () => {
  await using server = await startNatsServer();
  await using proxy = await startTcpProxy(server.port);
  const { bus, types } = await connect(proxy.url);

  proxy.freeze();
  const cutAt = performance.now();
  for (let sent = 0; sent < 32; sent += 1) bus.publish("bulk", new Uint8Array(1_000_000));
  await vi.waitFor(() => expect(types()).toEqual(["connected", "disconnected"]), {
    timeout: 20_000,
    interval: 10,
  });
  expect(performance.now() - cutAt).toBeLessThan(noticeMs + slackMs);

  proxy.thaw();
  await vi.waitFor(() => expect(types().at(-1)).toBe("reconnected"), { timeout: 10_000 });
  await bus.flush();
});

test("a server that takes nothing more does not fill the publisher's memory", async () => {
  await using server = await startNatsServer();
  const { bus } = await connect(server.url);
  server.freeze();
  const publishMuch = () => {
    for (let sent = 0; sent < 200; sent += 1) bus.publish("bulk", new Uint8Array(1_000_000));
  };
  expect(publishMuch).toThrow(expect.objectContaining({ code: "RESOURCE_EXHAUSTED", retry: "later" }));
});

test("a bus survives its server being killed again and again, with requests on the way", async () => {
  await using server = await startNatsServer();
  const { bus: one, types } = await connect(server.url);
  const { bus: other, types: otherTypes } = await connect(server.url);
  other.subscribe("silent", () => {});
  other.subscribe("echo", (message) => message.respond(message.data));
  await other.flush();
  for (let round = 1; round <= 3; round += 1) {
    const pending = Array.from({ length: 1_000 }, () =>
      one.request("silent", bytes("x"), { timeoutMs: 60_000 }),
    );
    const outcomes = Promise.allSettled(pending);
    await one.flush();
    await server.kill();
    expect((await outcomes).filter((outcome) => outcome.status === "rejected")).toHaveLength(1_000);
    await server.restart();
    for (const seen of [types, otherTypes]) {
      const reconnects = () => seen().filter((type) => type === "reconnected").length;
      await vi.waitFor(() => expect(reconnects()).toBe(round), { timeout: 10_000 });
    }
    await other.flush();
    const answer = await one.request("echo", bytes(`round ${round}`), { timeoutMs: 5_000 });
    expect(new TextDecoder().decode(answer.data)).toBe(`round ${round}`);
  }
});

test("a server that comes back with another limit is believed", async () => {
  await using server = await startNatsServer({ config: "max_payload: 2048" });
  const { bus, types } = await connect(server.url);
  expect(bus.maxPayloadBytes).toBe(2_048);
  await server.restart("max_payload: 512");
  await vi.waitFor(() => expect(types().at(-1)).toBe("reconnected"), { timeout: 10_000 });
  expect(bus.maxPayloadBytes).toBe(512);
  expect(() => bus.publish("a", new Uint8Array(513))).toThrow(
    expect.objectContaining({
      details: expect.objectContaining({ payloadBytes: 513, maxPayloadBytes: 512 }),
    }),
  );
});

test.each([
  { how: "killed", signal: "SIGKILL", unsentMiB: 0 },
  { how: "frozen", signal: "SIGSTOP", unsentMiB: 0 },
  { how: "frozen with much left to send", signal: "SIGSTOP", unsentMiB: 32 },
])(
  "close() ends in time when the server was $how, and leaves nothing that keeps a process alive",
  async (given) => {
    await using server = await startNatsServer();
    const program = fileURLToPath(new URL("../support/close-after-loss.ts", import.meta.url));
    const args = [program, server.url, String(server.pid), given.signal, String(given.unsentMiB)];
    // Rejects when the program has not ended by itself by then.
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      timeout: 10_000,
      killSignal: "SIGKILL",
    });
    expect(Number(stdout)).toBeLessThan(busLimits.drainTimeoutMs + busLimits.closeTimeoutMs + 500);
  },
);

test("close() ends in time while the bus is trying to reconnect", async () => {
  await using server = await startNatsServer();
  const { bus, types } = await connect(server.url);
  await server.kill();
  await vi.waitFor(() => expect(bus.connected).toBe(false));
  const startedAt = performance.now();
  await bus.close();
  expect(performance.now() - startedAt).toBeLessThan(busLimits.closeTimeoutMs + 500);
  expect(types()).toEqual(["connected", "disconnected", "closed"]);
});

test("close() leaves no socket behind that waits for the greeting of a server", async () => {
  await using server = await startNatsServer();
  const { bus } = await connect(server.url);
  await server.kill();
  const mute = createServer((socket) => socket.resume());
  onTestFinished(() => void mute.close());
  mute.listen(server.port, "127.0.0.1");
  const [socket] = (await once(mute, "connection")) as [Socket];
  const gone = once(socket, "close");
  await bus.close();
  await gone;
});
