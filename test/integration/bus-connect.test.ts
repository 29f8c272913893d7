import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect as connectSocket, createServer, type AddressInfo, type Server } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import type { BusStatus } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { createNatsRoles } from "../support/nats-roles.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function twoRoles() {
  const roles = createNatsRoles({ node: {}, other: {} });
  onTestFinished(() => roles.remove());
  return roles;
}

test("without a server the first connection fails at once when asked to, and says how to start one", async () => {
  const servers = `nats://127.0.0.1:${await freePort()}`;
  const startedAt = performance.now();
  await expect(
    connectNats({ servers, name: "first", connectTimeoutMs: 20_000, waitOnFirstConnect: false }),
  ).rejects.toMatchObject({
    code: "COMMUNICATION_FAILURE",
    fix: `Is nats-server running at ${servers}? Start one with \`wasmatrix up\`.`,
  });
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

test("without a server the first connection is tried until its deadline", async () => {
  const port = await freePort();
  const startedAt = performance.now();
  const attempt = connectNats({ servers: `nats://127.0.0.1:${port}`, name: "first", connectTimeoutMs: 700 });
  await expect(attempt).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
  const tookMs = performance.now() - startedAt;
  expect([tookMs > 500, tookMs < 2_500]).toEqual([true, true]);
});

test("a server that starts later is found", async () => {
  const port = await freePort();
  const statuses: BusStatus[] = [];
  const connecting = connectNats({
    servers: `nats://127.0.0.1:${port}`,
    name: "patient",
    connectTimeoutMs: 20_000,
    onStatus: (status) => statuses.push(status),
  });
  await using _server = await startNatsServer({ port });
  const bus = await connecting;
  await bus.flush();
  await bus.close();
  expect(statuses).toEqual([{ type: "connected", server: `127.0.0.1:${port}` }, { type: "closed" }]);
});

test("a server that accepts and then says nothing does not hold the first connection beyond its deadline", async () => {
  const accepted: Promise<unknown>[] = [];
  const mute = createServer((socket) => {
    socket.resume();
    accepted.push(once(socket, "close"));
  });
  const port = await listening(mute);
  onTestFinished(() => void mute.close());
  const startedAt = performance.now();
  const attempt = connectNats({ servers: `nats://127.0.0.1:${port}`, name: "first", connectTimeoutMs: 600 });
  await expect(attempt).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  // The client would leave it open, and the process could not end.
  expect(accepted).toHaveLength(1);
  await Promise.all(accepted);
});

test("credentials that the server does not know are refused at once, and so are none", async () => {
  const roles = twoRoles();
  await using server = await startNatsServer({ config: roles.configWithout("node") });
  const refused = {
    code: "COMMUNICATION_FAILURE",
    retry: "never",
    details: { servers: server.url, unauthorized: true },
    fix: expect.stringContaining("wasmatrix auth"),
  };
  const options = { servers: server.url, name: "stranger", connectTimeoutMs: 20_000 };
  await expect(connectNats({ ...options, credsFile: roles.credsFile("node") })).rejects.toMatchObject(
    refused,
  );
  await expect(connectNats(options)).rejects.toMatchObject(refused);
});

test("options that cannot work are refused as such", async () => {
  const options = { servers: "nats://127.0.0.1:4222", name: "wrong", connectTimeoutMs: 2_000 };
  const invalid = { code: "INVALID_REQUEST" };
  await expect(connectNats({ ...options, servers: "ws://127.0.0.1:4222" })).rejects.toMatchObject(invalid);
  await expect(connectNats({ ...options, inboxPrefix: "commands" })).rejects.toMatchObject(invalid);
  await expect(connectNats({ ...options, inboxPrefix: "_INBOXES.a" })).rejects.toMatchObject(invalid);
  await expect(connectNats({ ...options, credsFile: "/nowhere/to/be.found" })).rejects.toMatchObject(invalid);
});

test("a bus whose user is taken away says so, and comes back with new credentials in the same file", async () => {
  const roles = twoRoles();
  await using server = await startNatsServer({ config: roles.config });
  const statuses: BusStatus[] = [];
  const bus = await connectNats({
    servers: server.url,
    name: "revoked",
    credsFile: roles.credsFile("node"),
    connectTimeoutMs: 5_000,
    onStatus: (status) => statuses.push(status),
  });
  onTestFinished(() => bus.close());
  await server.reload(roles.configWithout("node"));
  const refusals = () => statuses.filter(({ type }) => type === "unauthorized").length;
  // Twice is when the client would give up for good if it were let.
  await vi.waitFor(() => expect(refusals()).toBeGreaterThan(2), { timeout: 10_000 });
  expect(bus.connected).toBe(false);
  // Each try gets as far as a greeting, and the client calls its end another disconnect.
  expect(statuses.filter(({ type }) => type === "disconnected")).toHaveLength(1);
  writeFileSync(roles.credsFile("node"), roles.seed("other"));
  await vi.waitFor(() => expect(statuses.at(-1)?.type).toBe("reconnected"), { timeout: 10_000 });
  await bus.flush();
});

test("the proxy lets everything through while it is not told otherwise", async () => {
  await using server = await startNatsServer();
  await using proxy = await startTcpProxy(server.port);
  const socket = connectSocket(proxy.port, "127.0.0.1");
  const greeting = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
  socket.destroy();
  expect(greeting.toString()).toMatch(/^INFO \{/);
});
