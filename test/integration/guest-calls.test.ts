import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import { countingGuest, type RunningEngine, startEngine } from "../support/running-engine.ts";

/** A waPC guest that makes one host call with its payload, and answers what came back or `refused: ` and why. */
const asking = (binding: string, namespace: string, operation: string) => `(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response" (func $answer (param i32)))
  (import "wapc" "__host_response_len" (func $answer_len (result i32)))
  (import "wapc" "__host_error" (func $error (param i32)))
  (import "wapc" "__host_error_len" (func $error_len (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 8192) "${binding}") (data (i32.const 8292) "${namespace}") (data (i32.const 8392) "${operation}")
  (func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
    (call $request (i32.const 0) (i32.const 1024))
    (if (call $call (i32.const 8192) (i32.const ${binding.length}) (i32.const 8292) (i32.const ${namespace.length})
                    (i32.const 8392) (i32.const ${operation.length}) (i32.const 1024) (local.get $len))
      (then (call $answer (i32.const 16384)) (call $response (i32.const 16384) (call $answer_len)))
      (else (call $error (i32.const 16384)) (call $response (i32.const 16384) (call $error_len))))
    (i32.const 1)))`;

const grant = (permission: string): Assignment => ({
  capabilityId: "peer",
  providerType: "call",
  permissions: [permission],
  config: {},
});

describe("R2.1: guests call each other under a grant", () => {
  let running: RunningEngine;
  beforeAll(async () => {
    running = await startEngine(2);
    await running.engine.start(running.spec("count1", countingGuest, { name: "count" }));
  });
  afterAll(() => running[Symbol.asyncDispose]());

  test("P4: a guest that may call another by name gets its answer, as often as it asks", async () => {
    const guest = asking("count", "actor", "go");
    await running.engine.start(running.spec("a1", guest, { capabilities: [grant("call:count")] }));
    expect([await running.call("a1", "ask"), await running.call("a1", "ask")]).toEqual(["1", "2"]);
  });

  test("P4: without the grant, or with one for another operation, it is denied and the refusal is reported", async () => {
    const guest = asking("count", "actor", "go");
    await running.engine.start(running.spec("b1", guest, { capabilities: [grant("call:count:stop")] }));
    running.events.length = 0;
    expect(await running.call("b1", "ask")).toMatch(/^PERMISSION_DENIED: b1 has no call:count/);
    expect(await running.event("capability.denied")).toMatchObject({
      instanceId: "b1",
      providerType: "call",
      operation: "go",
      permission: "call:count",
    });
  });

  test("a guest that nobody runs is told apart from one that fails", async () => {
    const gone = asking("nobody", "actor", "go");
    await running.engine.start(running.spec("c1", gone, { capabilities: [grant("call:nobody")] }));
    expect(await running.call("c1", "ask")).toMatch(/^INSTANCE_UNAVAILABLE: no guest nobody answers/);
    const trapping = asking("count", "actor", "t");
    await running.engine.start(running.spec("c2", trapping, { capabilities: [grant("call:count")] }));
    expect(await running.call("c2", "ask")).toMatch(/^GUEST_TRAPPED/);
  });

  test("names that are no names are refused before anything is sent", async () => {
    const guest = asking("a.b\\r\\nPUB x 0", "actor", "go");
    await running.engine.start(running.spec("d1", guest, { capabilities: [grant("call:count")] }));
    expect(await running.call("d1", "ask")).toMatch(/^(PERMISSION_DENIED|INVALID_REQUEST)/);
  });

  test("a guest writes to its log through the host", async () => {
    const lines: string[] = [];
    running.bus.subscribe("wasmatrix.log.v1.test.n1.e1", (message) =>
      lines.push(JSON.parse(Buffer.from(message.data).toString()).text as string),
    );
    await running.bus.flush();
    await running.engine.start(running.spec("e1", asking("log", "logging", "warn")));
    expect(await running.call("e1", "ask", "mind the gap")).toBe("");
    await expect.poll(() => lines).toEqual(["warn: mind the gap"]);
  });

  test("an instance that is not reused begins anew with every call", async () => {
    await running.engine.start(running.spec("f1", countingGuest, { reuse: false }));
    expect([await running.call("f1", "go"), await running.call("f1", "go")]).toEqual(["1", "1"]);
  });
});
