import { afterAll, beforeAll, expect, test } from "vitest";
import { componentWat, wildComponent } from "../support/component-guests.ts";
import { countingGuest, type RunningEngine, startEngine } from "../support/running-engine.ts";

let running: RunningEngine;
let wild: Uint8Array;

beforeAll(async () => {
  running = await startEngine();
  wild = await componentWat(wildComponent);
});

afterAll(async () => {
  await running[Symbol.asyncDispose]();
});

test("R4.2: a component starts, answers calls and keeps its memory between them", async () => {
  await running.engine.start(running.spec("c-add", wild));
  expect([
    await running.call("c-add", "add", "[20, 22]"),
    await running.call("c-add", "count"),
    await running.call("c-add", "count"),
    await running.call("c-add", "add", "[1]"),
    await running.call("c-add", "missing"),
  ]).toEqual(["42", "1", "2", "INVALID_REQUEST", "INVALID_REQUEST"]);
});

const wrongs = [
  ["trap", "trap", "wasm trap: wasm `unreachable` instruction executed"],
  ["spin", "fuel", "the guest used up the fuel of this call"],
  ["recurse", "trap", "stack overflow"],
  [
    "grow",
    "memory",
    "trapped after more memory was refused: wasm trap: wasm `unreachable` instruction executed",
  ],
] as const;

test.each(wrongs)(
  "R8.1 R8.3: a component that does %s is a crash with its reason",
  async (name, reason, message) => {
    await running.engine.start(
      running.spec(`c-${name}`, wild, { limits: { fuel: 10_000_000, memoryBytes: 1024 * 1024 } }),
    );
    await running.engine.start(running.spec("neighbour", wild));
    running.events.length = 0;
    expect(await running.call(`c-${name}`, name)).toBe("GUEST_TRAPPED");
    const { instanceId, crash } = await running.event("instance.crashed");
    expect({ instanceId, reason: crash.reason, message: crash.message, operation: crash.operation }).toEqual({
      instanceId: `c-${name}`,
      reason,
      message,
      operation: name,
    });
    expect(await running.call("neighbour", "add", "[1, 2]")).toBe("3");
    await running.engine.stop("neighbour");
  },
);

test("R8.1: a component that waits for ever ends at its deadline, its neighbours go on meanwhile", async () => {
  await running.engine.start(running.spec("c-wait", wild, { limits: { timeoutMs: 300 } }));
  await running.engine.start(running.spec("n-wait", wild));
  await running.engine.start(running.spec("n-core", countingGuest));
  running.events.length = 0;
  const waiting = running.call("c-wait", "wait");
  expect([await running.call("n-wait", "add", "[1, 2]"), await running.call("n-core", "count")]).toEqual([
    "3",
    "1",
  ]);
  expect(await waiting).toBe("TIMEOUT");
  expect((await running.event("instance.crashed")).crash.reason).toBe("deadline");
  // One that is suspended, too, goes on: the one that ended holds no turn.
  expect([await running.call("n-wait", "nap", "[1000000]"), await running.call("n-core", "count")]).toEqual([
    "null",
    "2",
  ]);
});

test("R13.6: what is no component is refused by name, and the next one is admitted", async () => {
  const damaged = wild.slice();
  damaged.fill(0xff, 40, 60);
  const unknown = await componentWat(
    `(component (import "wasi:nn/graph@0.2.0" (instance (export "load" (func)))))`,
  );
  const refusal = async (id: string, bytes: Uint8Array) =>
    running.engine.start(running.spec(id, bytes)).then(
      () => "started",
      (error: { code: string; message: string }) => `${error.code} ${error.message}`,
    );
  expect([
    (await refusal("r-1", damaged)).slice(0, 14),
    await refusal("r-2", unknown),
    await refusal("r-3", wild),
  ]).toEqual(["INVALID_MODULE", 'INVALID_MODULE no host gives a component "wasi:nn/graph@0.2.0"', "started"]);
});
