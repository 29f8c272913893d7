import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { guestLimits } from "../../src/limits.ts";
import {
  askingGuest,
  countingGuest,
  type RunningEngine,
  spinningGuest,
  startEngine,
} from "../support/running-engine.ts";

const kvRead = {
  capabilityId: "store",
  providerType: "kv",
  permissions: ["kv:read"],
  config: {},
};

describe("an engine process", () => {
  let running: RunningEngine;
  beforeAll(async () => {
    running = await startEngine();
  });
  afterAll(() => running[Symbol.asyncDispose]());

  test("answers calls to an instance by its id and by its name", async () => {
    await running.engine.start(running.spec("a1", countingGuest, { name: "a" }));
    expect([await running.call("a1", "go"), await running.call("a", "go")]).toEqual(["1", "2"]);
  });

  test("P1, R1.1: a restarted instance knows nothing of its former run", async () => {
    const spec = running.spec("b1", countingGuest);
    await running.engine.start(spec);
    expect([await running.call("b1", "go"), await running.call("b1", "go")]).toEqual(["1", "2"]);
    expect(await running.call("b1", "t")).toBe("GUEST_TRAPPED");
    await running.engine.start(spec);
    expect(await running.call("b1", "go")).toBe("1");
  });

  test("tells why an instance crashed, and nobody answers for it any more", async () => {
    await running.engine.start(running.spec("c1", spinningGuest, { limits: { fuel: 10_000 } }));
    running.events.length = 0;
    expect(await running.call("c1", "go")).toBe("GUEST_TRAPPED");
    expect(await running.event("instance.crashed")).toMatchObject({
      instanceId: "c1",
      crash: { reason: "fuel", operation: "go" },
    });
    await expect(running.call("c1", "go")).rejects.toMatchObject({ details: { noResponders: true } });
  });

  test("P4, R2.5: without the grant the guest is told PERMISSION_DENIED, and the refusal is reported", async () => {
    await running.engine.start(running.spec("d1", askingGuest));
    running.events.length = 0;
    expect(await running.call("d1", "go", "{}")).toMatch(/^PERMISSION_DENIED: d1 has no kv:read/);
    expect(await running.event("capability.denied")).toEqual({
      type: "capability.denied",
      instanceId: "d1",
      capabilityId: "store",
      providerType: "kv",
      operation: "get",
      permission: "kv:read",
      count: 1,
    });
  });

  test("a grant acts on the next call of a running instance, and so does taking it back", async () => {
    await running.engine.start(running.spec("e1", askingGuest));
    await running.engine.grant("e1", [kvRead]);
    expect(await running.call("e1", "go", "{}")).toMatch(/^PROVIDER_UNAVAILABLE: no provider "kv" answers/);
    await running.engine.grant("e1", []);
    expect(await running.call("e1", "go", "{}")).toMatch(/^PERMISSION_DENIED/);
  });

  test("a guest that waits for its provider keeps nobody else waiting, and works on one message at a time", async () => {
    const asked: (() => void)[] = [];
    const provider = running.bus.subscribe("wasmatrix.cap.v1.test.kv.n1.get", (message) => {
      asked.push(() => message.respond(new TextEncoder().encode("from the provider")));
    });
    await running.bus.flush();
    await running.engine.start(
      running.spec("f1", askingGuest, { capabilities: [kvRead], limits: { mailbox: 1 } }),
    );
    await running.engine.start(running.spec("f2", countingGuest));
    const first = running.call("f1", "go", "{}");
    await vi.waitFor(() => expect(asked).toHaveLength(1));
    const second = running.call("f1", "go", "{}");
    expect(await running.call("f1", "go", "{}")).toBe("RESOURCE_EXHAUSTED");
    expect(await running.call("f2", "go")).toBe("1");
    expect(asked).toHaveLength(1);
    asked[0]?.();
    expect(await first).toBe("from the provider");
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    asked[1]?.();
    expect(await second).toBe("from the provider");
    provider.unsubscribe();
  });

  test("a call that waits longer than its deadline ends, and the instance with it", async () => {
    const provider = running.bus.subscribe("wasmatrix.cap.v1.test.kv.n1.get", () => undefined);
    await running.bus.flush();
    await running.engine.start(
      running.spec("g1", askingGuest, { capabilities: [kvRead], limits: { timeoutMs: 100 } }),
    );
    expect(await running.call("g1", "go", "{}")).toMatch(/^TIMEOUT/);
    provider.unsubscribe();
  });

  test("a stop answers the calls in progress first", async () => {
    let answer: (() => void) | undefined;
    const provider = running.bus.subscribe("wasmatrix.cap.v1.test.kv.n1.get", (message) => {
      answer = () => message.respond(new TextEncoder().encode("late"));
    });
    await running.bus.flush();
    await running.engine.start(running.spec("h1", askingGuest, { capabilities: [kvRead] }));
    const call = running.call("h1", "go", "{}");
    await vi.waitFor(() => expect(answer).toBeDefined());
    const stopped = running.engine.stop("h1");
    answer?.();
    expect(await call).toBe("late");
    await stopped;
    await expect(running.call("h1", "go")).rejects.toMatchObject({ details: { noResponders: true } });
    provider.unsubscribe();
  });

  test("a module that is none is refused with the reason, and an instance id is taken only once", async () => {
    const bad = running.spec("i1", new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]));
    await expect(running.engine.start(bad)).rejects.toMatchObject({ code: "INVALID_MODULE" });
    const good = running.spec("i1", countingGuest);
    await running.engine.start(good);
    await expect(running.engine.start(good)).rejects.toMatchObject({ code: "INSTANCE_EXISTS" });
  });
});

test("the watchdog blames who runs too long, and its neighbours answer from another cell, R8.1, R14.4", async () => {
  await using running = await startEngine();
  const neighbours = Array.from({ length: 20 }, (_, index) => `n${index}`);
  await Promise.all(neighbours.map((id) => running.engine.start(running.spec(id, countingGuest))));
  await Promise.all(neighbours.map((id) => running.call(id, "go")));
  await running.engine.start(
    running.spec("spinner", spinningGuest, { limits: { fuel: guestLimits.fuelMax, timeoutMs: 150 } }),
  );
  // Its thread is ended under it: nobody is left to answer this one.
  running.call("spinner", "go").catch(() => undefined);
  expect(await running.event("cell.lost")).toMatchObject({ blamed: "spinner", moved: 20 });
  expect(await running.event("instance.crashed")).toMatchObject({
    instanceId: "spinner",
    crash: { reason: "deadline" },
  });
  // Each by itself: one that is asked twice counts to 2.
  const answers = await Promise.all(
    neighbours.map((id) => vi.waitFor(() => running.call(id, "go"), { timeout: 10_000 })),
  );
  expect(answers).toEqual(neighbours.map(() => "1"));
  expect(running.events.filter((event) => event.type === "instance.crashed")).toHaveLength(1);
});

test("an engine that is killed rejects what is pending and says how it ended", async () => {
  const running = await startEngine();
  const slow = running.engine.start(running.spec("x", countingGuest));
  process.kill(running.engine.pid, "SIGABRT");
  await expect(slow).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
  await vi.waitFor(() => expect(running.ends).toEqual([expect.stringContaining("SIGABRT")]));
  await running[Symbol.asyncDispose]();
});
