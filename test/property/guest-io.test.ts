import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import { operationsOf, permissionFor, permissionSet, permissionsOf } from "../../src/protocol/permissions.ts";
import { type RunningEngine, startEngine } from "../support/running-engine.ts";

/**
 * A waPC guest that asks its host whatever its payload says: three bytes are the lengths of binding, namespace and
 * operation, then come those texts, and the rest is the payload. Answers `+` and the answer, or `-` and the error.
 */
const askingAnything = `(module
  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response" (func $answer (param i32)))
  (import "wapc" "__host_response_len" (func $answer_len (result i32)))
  (import "wapc" "__host_error" (func $error (param i32)))
  (import "wapc" "__host_error_len" (func $error_len (result i32)))
  (memory (export "memory") 4)
  (func (export "__guest_call") (param $op i32) (param $len i32) (result i32) (local $ns i32) (local $operation i32) (local $rest i32)
    (call $request (i32.const 0) (i32.const 1024))
    (local.set $ns (i32.add (i32.const 1027) (i32.load8_u (i32.const 1024))))
    (local.set $operation (i32.add (local.get $ns) (i32.load8_u (i32.const 1025))))
    (local.set $rest (i32.add (local.get $operation) (i32.load8_u (i32.const 1026))))
    (if (call $call (i32.const 1027) (i32.load8_u (i32.const 1024)) (local.get $ns) (i32.load8_u (i32.const 1025))
          (local.get $operation) (i32.load8_u (i32.const 1026))
          (local.get $rest) (i32.sub (i32.add (i32.const 1024) (local.get $len)) (local.get $rest)))
      (then (i32.store8 (i32.const 65536) (i32.const 43)) (call $answer (i32.const 65537))
            (call $response (i32.const 65536) (i32.add (i32.const 1) (call $answer_len))))
      (else (i32.store8 (i32.const 65536) (i32.const 45)) (call $error (i32.const 65537))
            (call $response (i32.const 65536) (i32.add (i32.const 1) (call $error_len)))))
    (i32.const 1)))`;

const types = ["kv", "http", "messaging", "blobstore", "clock"] as const;
const capabilityId = fc.constantFrom("store", "out", "inbox", "nothing");
/** As they are written, narrowed ones with something of their own. */
const permission = (type: string) =>
  fc.constantFrom(
    ...permissionsOf(type).map((one) =>
      one
        .replace("<prefix>", "a/")
        .replace("<topic>", "a.>")
        .replace("<domain>", "a.example")
        .replace("<operation>", "now"),
    ),
  );
const grant: fc.Arbitrary<Assignment> = fc
  .tuple(capabilityId, fc.constantFrom(...types))
  .chain(([id, providerType]) =>
    fc.uniqueArray(permission(providerType), { minLength: 1, maxLength: 3 }).map((permissions) => ({
      capabilityId: id,
      providerType,
      permissions,
      config: {},
    })),
  );
const grants = fc.uniqueArray(grant, { maxLength: 4, selector: (one) => one.capabilityId });

const payload = fc.record({
  key: fc.constantFrom("a/1", "b"),
  keys: fc.constantFrom(["a/1"], ["a/1", "b"]),
  entries: fc.constantFrom([{ key: "a/1" }], [{ key: "b" }]),
  prefix: fc.constantFrom("a/", ""),
  topic: fc.constantFrom("a.x", "b"),
  url: fc.constantFrom("https://a.example/", "https://b.example/", "nonsense"),
});
const anyText = fc.string({ maxLength: 20 });

/** What a guest asks for: half of the time through what it holds, often what there is, now and then anything. */
const askedBy = (given: readonly Assignment[]) => {
  const held = given.map(({ capabilityId: binding, providerType: type }) => ({
    binding,
    type: String(type),
  }));
  const anything = fc.record({
    binding: fc.oneof({ weight: 4, arbitrary: capabilityId }, { weight: 1, arbitrary: anyText }),
    type: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom<string>(...types) },
      { weight: 1, arbitrary: anyText },
    ),
  });
  return fc
    .oneof(anything, ...(held.length === 0 ? [] : [fc.constantFrom(...held)]))
    .chain(({ binding, type }) => {
      const known = operationsOf(type) ?? ["now", "later"];
      const operation = fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...known) },
        { weight: 1, arbitrary: anyText },
      );
      return fc.record({ binding: fc.constant(binding), type: fc.constant(type), operation, payload });
    });
};
const attempt = grants.chain((given) => fc.record({ given: fc.constant(given), asked: askedBy(given) }));

describe("P3, R2.1, R2.2, R5.5: any attempt of a guest at I/O goes through a provider, or is refused", () => {
  let running: RunningEngine;
  const heard: string[] = [];
  beforeAll(async () => {
    running = await startEngine();
    running.bus.subscribe("wasmatrix.cap.v1.test.*.n1.*", (message) => {
      const { instanceId, capabilityId: id } = decode(message.data).value as Record<string, string>;
      const [, , , , provider, , operation] = message.subject.split(".");
      heard.push(`${instanceId} ${id} ${provider} ${operation}`);
      message.respond(new TextEncoder().encode("done"));
    });
    await running.engine.start(running.spec("guest", askingAnything));
  });
  afterAll(() => running[Symbol.asyncDispose]());

  test("P4: and it reaches one exactly where a grant covers it", async () => {
    let allowed = 0;
    await fc.assert(
      fc.asyncProperty(attempt, async ({ given, asked: { binding, type, operation, payload: fields } }) => {
        await running.engine.grant("guest", given);
        heard.length = 0;
        const texts = [binding, type, operation].map((text) => Buffer.from(text));
        const request = Buffer.concat([
          Buffer.from(texts.map((text) => text.length)),
          ...texts,
          Buffer.from(JSON.stringify(fields)),
        ]);
        const subject = "wasmatrix.call.v1.test.guest.ask";
        const answer = await running.bus.request(subject, new Uint8Array(request), { timeoutMs: 5_000 });
        const text = Buffer.from(answer.data).toString();

        const held = given.find((one) => one.capabilityId === binding && one.providerType === type);
        const covered =
          held !== undefined &&
          permissionFor(type, operation) !== undefined &&
          permissionSet(type, held.permissions).missing(operation, () => fields) === undefined;
        if (covered) {
          allowed += 1;
          expect([text, heard]).toEqual(["+done", [`guest ${binding} ${type} ${operation}`]]);
        } else {
          expect([text[0], heard]).toEqual(["-", []]);
          expect(text).toMatch(/^-(PERMISSION_DENIED|INVALID_REQUEST)/);
        }
      }),
      { numRuns: 400 },
    );
    // Both sides were tried.
    expect(allowed).toBeGreaterThan(20);
  });
});
