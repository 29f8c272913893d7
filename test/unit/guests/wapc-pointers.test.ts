import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GuestFault } from "../../../src/wasm/guests/guest-faults.ts";
import { createWapcGuest } from "../../../src/wasm/guests/wapc.ts";
import { bytesOf, guestHost } from "../../support/guest-host.ts";
import { echoGuest, wapcGuest } from "../../support/wapc-guests.ts";

describe("pointers of a waPC guest", () => {
  const i32 = fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    fc.integer({ min: 0, max: 70_000 }),
  );
  const functions: [name: string, parameters: number, result: boolean, pairs: [number, number][]][] = [
    ["__guest_request", 2, false, []],
    ["__guest_response", 2, false, [[0, 1]]],
    ["__guest_error", 2, false, [[0, 1]]],
    ["__console_log", 2, false, [[0, 1]]],
    ["__host_response", 1, false, []],
    ["__host_error", 1, false, []],
    [
      "__host_call",
      8,
      true,
      [
        [0, 1],
        [2, 3],
        [4, 5],
        [6, 7],
      ],
    ],
  ];

  test.each(functions)(
    "any arguments of %s are served or end the guest, and nothing else",
    async (name, count, result, pairs) => {
      const parameters = Array.from(
        { length: count },
        (_, index) => `(i32.load (i32.const ${place(index)}))`,
      );
      const module = wapcGuest(
        `(call $request (i32.const 8192) (i32.const 1024)) (call $it ${parameters.join(" ")}) ${result ? "(drop)" : ""}
       (i32.const 1)`,
        "",
        `(import "wapc" "${name}" (func $it (param ${"i32 ".repeat(count)}) ${result ? "(result i32)" : ""}))`,
      );
      const host = guestHost({ callCapability: () => Promise.resolve(bytesOf("ok")) });
      await fc.assert(
        fc.asyncProperty(fc.array(i32, { minLength: count, maxLength: count }), async (args) => {
          const guest = createWapcGuest(module, host);
          const payload = new Uint8Array(new Int32Array(args).buffer);
          const isOutside = pairs.some(([at, length]) => (args[at]! >>> 0) + (args[length]! >>> 0) > 65_536);
          let thrown: unknown;
          try {
            await guest.call("operation", payload);
          } catch (error) {
            thrown = error;
          }
          if (thrown !== undefined) expect(thrown).toBeInstanceOf(GuestFault);
          if (isOutside)
            expect((thrown as Error).message).toMatch(/lies outside the guest's memory of 65536 bytes$/);
        }),
      );
    },
  );

  test("a pointer one byte too far is a fault, the last one that fits is not", () => {
    const answering = (pointer: number, length: number) =>
      createWapcGuest(
        wapcGuest(`(call $response (i32.const ${pointer}) (i32.const ${length})) (i32.const 1)`),
        guestHost(),
      );
    expect(answering(65_530, 6).call("x", bytesOf(""))).toHaveLength(6);
    expect(() => answering(65_531, 6).call("x", bytesOf(""))).toThrow(
      "the response at 65531 with 6 bytes lies outside the guest's memory of 65536 bytes",
    );
    expect(() => answering(-1, -1).call("x", bytesOf(""))).toThrow(
      "at 4294967295 with 4294967295 bytes lies outside",
    );
  });

  test("a payload that is larger than the guest's memory is the guest's fault", () => {
    const guest = createWapcGuest(echoGuest(), guestHost());
    expect(() => guest.call("x", new Uint8Array(70_000))).toThrow(
      "the payload at 1024 with 70000 bytes lies outside",
    );
  });
});

/** Where the n-th argument arrives with the payload. */
function place(index: number): number {
  return 1_024 + index * 4;
}
