import { readFileSync } from "node:fs";
import { request } from "undici";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";
import { startProviderProcess } from "../support/provider-process.ts";

const { counter, web } = await buildExamples(["counter", "web"]);
const module = { bytes: readFileSync(counter.path).toString("base64") };

let lattice: TestLattice;
beforeAll(async () => {
  lattice = await startLattice({ jetstream: true });
  await lattice.controlPlane("cp1");
  await lattice.node("n1");
});
afterAll(() => lattice[Symbol.asyncDispose]());

const statusOf = async (provider: string, nodeId: string) =>
  (await done(lattice, "provider.list", {}))["providers"].find(
    (one: { provider: string; nodeId: string }) => one.provider === provider && one.nodeId === nodeId,
  )?.status;
const startCounter = async (provider: string) => {
  const name = freshId("counter");
  const grant = { capabilityId: "store", providerType: "kv", provider, permissions: ["kv:read", "kv:write"] };
  await done(lattice, "instance.start", { module, name, capabilities: [grant] });
  return name;
};

test("R16.3, R12.1: a provider process that is killed leaves a clear error behind, and its successor goes on with the same data", async () => {
  const args = ["kv", "--backend", "nats", "--name", "shared"];
  const first = await startProviderProcess(lattice, "first", "shared", args);
  const name = await startCounter("shared");
  expect(await lattice.call(name, "increment", "2")).toBe("2");
  await first.end("SIGKILL");
  expect(await lattice.call(name, "increment", "2")).toMatchObject({
    code: "GUEST_ERROR",
    message: expect.stringContaining("PROVIDER_UNAVAILABLE"),
  });
  const second = await startProviderProcess(lattice, "second", "shared", args);
  expect(await lattice.call(name, "increment", "3")).toBe("5");

  // Two processes share the calls, and one that is told to end loses none.
  await startProviderProcess(lattice, "third", "shared", args);
  let goesOn = true;
  const outcomes: unknown[] = [];
  const load = Array.from({ length: 8 }, async () => {
    while (goesOn) outcomes.push(await lattice.call(name, "increment", "1"));
  });
  await vi.waitFor(() => expect(outcomes.length).toBeGreaterThan(20), { interval: 1 });
  await second.end("SIGTERM");
  const before = outcomes.length;
  await vi.waitFor(() => expect(outcomes.length).toBeGreaterThan(before + 20), { interval: 1 });
  goesOn = false;
  await Promise.all(load);
  expect(outcomes.filter((one) => typeof one !== "string")).toEqual([]);
  expect(await lattice.call(name, "get")).toBe(String(5 + outcomes.length));
  expect(await statusOf("shared", "second")).toBe("stopped");
});

test("R8.2, R16: a bus that is killed and comes back finds its providers at work, and what they stored", async () => {
  await startProviderProcess(lattice, "lasting", "lasting", ["kv", "--backend", "nats", "--name", "lasting"]);
  const name = await startCounter("lasting");
  expect(await lattice.call(name, "increment", "2")).toBe("2");
  await lattice.server.restart();
  await vi.waitFor(async () => expect(await lattice.call(name, "increment", "2").catch(String)).toBe("4"), {
    timeout: 20_000,
    interval: 50,
  });
  await vi.waitFor(async () => expect(await statusOf("lasting", "lasting")).toBe("available"), {
    timeout: 10_000,
  });
});

test("R16: several providers of one kind stand side by side, and each grant names the one that it means", async () => {
  await startProviderProcess(lattice, "left", "red", ["kv", "--name", "red"]);
  await startProviderProcess(lattice, "right", "blue", ["kv", "--name", "blue"]);
  const [red, blue] = [await startCounter("red"), await startCounter("blue")];
  expect(await lattice.call(red, "increment", "4")).toBe("4");
  expect(await lattice.call(blue, "increment", "1")).toBe("1");
  await done(lattice, "provider.stop", { provider: "red" });
  expect(await lattice.call(red, "get")).toMatchObject({ code: "GUEST_ERROR" });
  expect(await lattice.call(blue, "increment", "1")).toBe("2");
});

test("R16: one process hosts several, one of one's own among them, and each can be replaced from afar", async () => {
  const file = "examples/provider-clock/clock.ts";
  const config = ["--config", `${file}.zone=Asia/Tokyo`, "--config", "http-server.listen=0"];
  await startProviderProcess(lattice, "many", "clock", ["kv", "http", "http-server", file, ...config]);
  const { providers } = await done(lattice, "provider.list", {});
  const here = providers.filter((one: { nodeId: string }) => one.nodeId === "many");
  expect(here.map((one: { provider: string; status: string }) => `${one.provider} ${one.status}`)).toEqual([
    "clock available",
    "http available",
    "http-server available",
    "kv available",
  ]);
  const updated = await done(lattice, "provider.update", {
    provider: "clock",
    config: { zone: "Europe/Paris" },
  });
  expect(updated["providers"]).toMatchObject([{ provider: "clock", nodeId: "many", restarts: 0 }]);
});

test(
  "R16.4, R5.2: an http server that is replaced goes on answering on its port",
  { timeout: 60_000 },
  async () => {
    const provider = freshId("front");
    await startProviderProcess(lattice, freshId("host"), provider, [
      "http-server",
      "--name",
      provider,
      "--listen",
      "0",
    ]);
    const serves = {
      capabilityId: "web",
      providerType: "http-server",
      provider,
      permissions: ["http-server:serve"],
    };
    await done(lattice, "instance.start", {
      module: { bytes: readFileSync(web.path).toString("base64") },
      name: freshId("web"),
      capabilities: [serves],
    });
    const { providers } = await done(lattice, "provider.list", {});
    const { address } = providers.find((one: { provider: string }) => one.provider === provider);
    const port = new URL(address).port;
    const get = async () => {
      const { statusCode, body } = await request(`${address}/hello`);
      await body.dump();
      return statusCode;
    };
    await vi.waitFor(async () => expect(await get()).toBe(200), { timeout: 10_000 });
    let goesOn = true;
    const statuses: unknown[] = [];
    const load = Array.from({ length: 4 }, async () => {
      while (goesOn) statuses.push(await get().catch(String));
    });
    for (let round = 0; round < 5; round += 1) {
      const config = { listen: `127.0.0.1:${port}` };
      const updated = await done(lattice, "provider.update", { provider, config });
      expect(updated["providers"]).toMatchObject([{ provider, status: "available", address }]);
      const before = statuses.length;
      await vi.waitFor(() => expect(statuses.length).toBeGreaterThan(before + 5), {
        timeout: 10_000,
        interval: 1,
      });
    }
    goesOn = false;
    await Promise.all(load);
    expect(new Set(statuses)).toEqual(new Set([200]));
  },
);
