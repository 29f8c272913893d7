import fc from "fast-check";
import { expect, test } from "vitest";
import { createWapcGuest } from "../../../src/wasm/guests/wapc.ts";
import { bytesOf, guestHost, thrownBy } from "../../support/guest-host.ts";
import { wapcGuest } from "../../support/wapc-guests.ts";

const imports = `(import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (import "env" "seed" (func $seed (result f64)))
  (import "env" "trace" (func $trace (param i32 i32 f64 f64 f64 f64 f64)))`;

/** A string object at `pointer`: its size in bytes before it, and UTF-16. */
function stringObject(pointer: number, text: string): string {
  const bytes = Buffer.alloc(4 + text.length * 2);
  bytes.writeUInt32LE(text.length * 2);
  bytes.write(text, 4, "utf16le");
  const escaped = [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
  return `(data (i32.const ${pointer - 4}) "${escaped}")`;
}

const strings = stringObject(2_048, "índex out of range") + stringObject(4_096, "~lib/array.ts");

async function abort(message: number, file: number): Promise<unknown> {
  const module = wapcGuest(
    `(call $abort (i32.const ${message}) (i32.const ${file}) (i32.const 12) (i32.const 5)) (i32.const 1)`,
    strings,
    imports,
  );
  const guest = createWapcGuest(module, guestHost());
  return guest.endOf(await thrownBy(() => guest.call("x", bytesOf(""))));
}

test("abort ends the guest and says what and where", async () => {
  expect(await abort(2_048, 4_096)).toMatchObject({
    type: "fault",
    message: "the guest aborted: índex out of range (at ~lib/array.ts:12:5)",
  });
});

test("abort without a message or a file says so", async () => {
  expect(await abort(0, 0)).toMatchObject({
    message: "the guest aborted: no message (at unknown file:12:5)",
  });
});

test("any pointers of abort end the guest with a message that is not long", async () => {
  const pointer = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 66_000 }));
  await fc.assert(
    fc.asyncProperty(pointer, pointer, async (message, file) => {
      const end = (await abort(message | 0, file | 0)) as { type: string; message: string };
      expect(end.type).toBe("fault");
      expect(end.message).toMatch(/^the guest aborted: /u);
      expect(end.message.length).toBeLessThan(8_192);
    }),
  );
});

test("trace is logged with as many numbers as the guest says", async () => {
  const host = guestHost();
  const call = (count: number) =>
    `(call $trace (i32.const 4096) (i32.const ${count}) (f64.const 1.5) (f64.const 2) (f64.const 3) (f64.const 4) (f64.const 5))`;
  await createWapcGuest(
    wapcGuest(`${call(2)} ${call(0)} ${call(-1)} ${call(9)} (i32.const 1)`, strings, imports),
    host,
  ).call("x", bytesOf(""));
  expect(host.lines).toEqual([
    "console: ~lib/array.ts 1.5 2",
    "console: ~lib/array.ts",
    "console: ~lib/array.ts",
    "console: ~lib/array.ts 1.5 2 3 4 5",
  ]);
});

test("seed gives each instance another number that is not zero", () => {
  const seeding = wapcGuest(
    `(f64.store (i32.const 0) (call $seed)) (call $response (i32.const 0) (i32.const 8)) (i32.const 1)`,
    "",
    imports,
  );
  const seeds = Array.from({ length: 100 }, () =>
    Buffer.from(createWapcGuest(seeding, guestHost()).call("x", bytesOf("")) as Uint8Array).readDoubleLE(),
  );
  expect(seeds).not.toContain(0);
  expect(new Set(seeds).size).toBeGreaterThan(90);
});
