import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { guestLimits, guestTalkLimits } from "../../../src/limits.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { GuestExit } from "../../../src/wasm/guests/guest.ts";
import { GuestStillborn } from "../../../src/wasm/guests/guest-faults.ts";
import { createWapcGuest } from "../../../src/wasm/guests/wapc.ts";
import { bytesOf, guestHost, textOf, thrownBy } from "../../support/guest-host.ts";
import { callingGuest, echoGuest, wapcGuest } from "../../support/wapc-guests.ts";
import { watModule } from "../../support/wat.ts";

describe("a waPC guest that cannot suspend", () => {
  test("any payload comes back unchanged, at once and as a copy", () => {
    const guest = createWapcGuest(echoGuest(), guestHost());
    fc.assert(
      fc.property(fc.string(), fc.uint8Array({ maxLength: 4_096 }), (operation, payload) => {
        const answer = guest.call(operation.slice(0, 200), payload);
        expect(answer).toEqual(payload);
        expect(answer).toHaveProperty("byteOffset", 0);
        expect(answer).toHaveProperty("buffer.byteLength", payload.length);
      }),
    );
  });

  test("it sees the operation that is called, also when operations take turns", () => {
    const guest = createWapcGuest(
      wapcGuest(`(call $request (i32.const 0) (i32.const 1024))
        (call $response (i32.const 0) (local.get $op)) (i32.const 1)`),
      guestHost(),
    );
    const answers = ["one", "two", "two", "Ünï", "one"].map(
      (name) => guest.call(name, bytesOf("x")) as Uint8Array,
    );
    expect(answers.map(textOf)).toEqual(["one", "two", "two", "Ünï", "one"]);
  });

  test("its refusal is GUEST_ERROR in its own words and leaves it usable", () => {
    const guest = createWapcGuest(
      wapcGuest(
        `(call $error (i32.const 8192) (i32.const 9))
         (local.set $n (global.get $refuses)) (global.set $refuses (i32.const 1)) (local.get $n)`,
        `(global $refuses (mut i32) (i32.const 0)) (data (i32.const 8192) "no coffee")`,
      ),
      guestHost(),
    );
    expect(() => guest.call("brew", bytesOf(""))).toThrow(
      expect.objectContaining({ code: "GUEST_ERROR", message: "no coffee" }),
    );
    expect(guest.call("brew", bytesOf(""))).toEqual(new Uint8Array(0));
  });

  test("memory that grows during a call is seen at once, on both sides of the growth", () => {
    const guest = createWapcGuest(
      wapcGuest(`(call $request (i32.const 0) (i32.const 1024))
        (drop (memory.grow (i32.const 1)))
        (memory.copy (i32.const 70000) (i32.const 1024) (local.get $len))
        (call $response (i32.const 70000) (local.get $len))
        (i32.const 1)`),
      guestHost(),
    );
    expect(textOf(guest.call("x", bytesOf("first")) as Uint8Array)).toBe("first");
    expect(textOf(guest.call("x", bytesOf("again")) as Uint8Array)).toBe("again");
  });

  test("a guest of an earlier answer cannot change it, nor can the caller change the guest", async () => {
    const guest = createWapcGuest(echoGuest(), guestHost());
    const payload = bytesOf("first");
    const first = guest.call("x", payload) as Uint8Array;
    payload.fill(0);
    await guest.call("x", bytesOf("other"));
    expect(textOf(first)).toBe("first");
  });

  test("console lines are logged and cut", async () => {
    const host = guestHost();
    const guest = createWapcGuest(
      wapcGuest(`(call $log (i32.const 0) (i32.const 65536)) (i32.const 1)`),
      host,
    );
    await guest.call("x", bytesOf(""));
    expect(host.lines).toEqual([`console: ${"\0".repeat(guestTalkLimits.logLineCharsMax)}`]);
  });

  test("a response above the limit of a message is refused and the guest stays usable", () => {
    const pages = guestTalkLimits.messageBytesMax / 65_536 + 1;
    const guest = createWapcGuest(
      wapcGuest(`(drop (memory.grow (i32.const ${pages})))
        (call $response (i32.const 0) (i32.add (i32.const ${guestTalkLimits.messageBytesMax}) (local.get $len)))
        (i32.const 1)`),
      guestHost(),
    );
    expect(() => guest.call("x", bytesOf("1"))).toThrow(
      expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
    );
    expect(guest.call("x", bytesOf(""))).toHaveLength(guestTalkLimits.messageBytesMax);
  });

  test("a guest that exits during a call has ended, whatever the code", () => {
    const guest = createWapcGuest(
      wapcGuest(
        `(call $exit (i32.const 0)) (i32.const 1)`,
        "",
        `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`,
      ),
      guestHost(),
    );
    expect(() => guest.call("x", bytesOf(""))).toThrow(new GuestExit(0));
    expect(() => guest.call("x", bytesOf(""))).toThrow(new GuestExit(0));
  });
});

describe("a waPC guest that calls its host", () => {
  test("it is suspended until the host answers and takes the answer", async () => {
    const calls: unknown[] = [];
    const host = guestHost({
      async callCapability(...call) {
        calls.push(call);
        return bytesOf("the value");
      },
    });
    const guest = createWapcGuest(callingGuest(), host);
    expect(textOf(await guest.call("x", bytesOf("the key")))).toBe("the value");
    expect(calls).toEqual([["kv", "memory", "get", bytesOf("the key")]]);
  });

  // R14.2
  test("two instances suspended at once each go on alone, in any order, with their own answers", async () => {
    const waiting: ((answer: Uint8Array) => void)[] = [];
    const host = guestHost({ callCapability: () => new Promise((resolve) => waiting.push(resolve)) });
    const module = callingGuest();
    const ended: string[] = [];
    const calls = ["one", "two"].map(async (name) => {
      const answer = await createWapcGuest(module, host).call("x", bytesOf(name));
      ended.push(`${name}: ${textOf(answer)}`);
    });
    expect(waiting).toHaveLength(2);
    waiting[1]?.(bytesOf("B"));
    await calls[1];
    expect(ended).toEqual(["two: B"]);
    waiting[0]?.(bytesOf("A"));
    await calls[0];
    expect(ended).toEqual(["two: B", "one: A"]);
  });

  // R5.4
  test("a Failure of the host is the guest's to handle", async () => {
    const host = guestHost({
      callCapability: () => Promise.reject(new Failure("PERMISSION_DENIED", "kv:read is missing")),
    });
    const guest = createWapcGuest(callingGuest(), host);
    expect(textOf(await guest.call("x", bytesOf("k")))).toBe(
      "refused: PERMISSION_DENIED: kv:read is missing",
    );
    expect(textOf(await guest.call("x", bytesOf("k")))).toBe(
      "refused: PERMISSION_DENIED: kv:read is missing",
    );
  });

  test("a success after a refusal leaves no error behind", async () => {
    let calls = 0;
    const host = guestHost({
      async callCapability() {
        if (calls++ === 0) throw new Failure("TIMEOUT", "no answer");
        return bytesOf("now");
      },
    });
    const hostCall = `(call $host_call (i32.const 8192) (i32.const 2) (i32.const 8194) (i32.const 6) (i32.const 8200)
      (i32.const 3) (i32.const 0) (i32.const 0))`;
    const module = callingGuest(`(drop ${hostCall})`, "(if (call $host_error_len) (then unreachable))");
    expect(textOf(await createWapcGuest(module, host).call("x", bytesOf("k")))).toBe("now");
    expect(calls).toBe(2);
  });

  test("a Failure that the host throws at once is told alike", async () => {
    const host = guestHost({
      callCapability: () => {
        throw new Failure("RESOURCE_EXHAUSTED", "too many");
      },
    });
    const guest = createWapcGuest(callingGuest(), host);
    expect(textOf(await guest.call("x", bytesOf("k")))).toBe("refused: RESOURCE_EXHAUSTED: too many");
  });

  test("anything else that the host throws ends the guest", async () => {
    const killed = new Error("killed at its deadline");
    const guest = createWapcGuest(
      callingGuest(),
      guestHost({ callCapability: () => Promise.reject(killed) }),
    );
    expect(await thrownBy(() => guest.call("x", bytesOf("k")))).toBe(killed);
    expect(await thrownBy(() => guest.call("x", bytesOf("k")))).toBe(killed);
  });

  test("memory that grew while the guest was suspended takes the host's answer", async () => {
    const guest = createWapcGuest(
      callingGuest("", "(drop (memory.grow (i32.const 3)))"),
      guestHost({ callCapability: () => Promise.resolve(bytesOf("after growth")) }),
    );
    expect(textOf(await guest.call("x", bytesOf("k")))).toBe("after growth");
  });

  test("a second call while one is suspended is refused and the first one ends well", async () => {
    let answer: (bytes: Uint8Array) => void = () => {};
    const host = guestHost({ callCapability: () => new Promise((resolve) => (answer = resolve)) });
    const guest = createWapcGuest(callingGuest(), host);
    const first = guest.call("x", bytesOf("k"));
    expect(() => guest.call("x", bytesOf("k"))).toThrow("a guest was called while a call was in progress");
    answer(bytesOf("unharmed"));
    expect(textOf(await first)).toBe("unharmed");
  });

  test("a name that is too long is a Failure for the guest", async () => {
    const module = wapcGuest(
      `(call $host_call (i32.const 0) (i32.const 513) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
         (i32.const 0) (i32.const 0))
       (drop)
       (call $host_error (i32.const 1024))
       (call $response (i32.const 1024) (call $host_error_len))
       (i32.const 1)`,
      "",
      `(import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
       (import "wapc" "__host_error" (func $host_error (param i32)))
       (import "wapc" "__host_error_len" (func $host_error_len (result i32)))`,
    );
    const guest = createWapcGuest(module, guestHost());
    expect(textOf(await guest.call("x", bytesOf("")))).toBe(
      "INVALID_REQUEST: the binding of a host call has 513 bytes; 512 are allowed",
    );
  });

  test("a guest cannot outlive its end by catching what was thrown", async () => {
    const killed = new Error("killed");
    const module = wapcGuest(
      `(try (do (drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
         (i32.const 0) (i32.const 0) (i32.const 0)))) (catch_all (nop)))
       (call $response (i32.const 0) (i32.const 5))
       (i32.const 1)`,
      "",
      `(import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))`,
    );
    const guest = createWapcGuest(module, guestHost({ callCapability: () => Promise.reject(killed) }));
    expect(await thrownBy(() => guest.call("x", bytesOf("")))).toBe(killed);
  });
});

describe("the start of a waPC guest", () => {
  test("_start, _initialize and wapc_init run once, in that order, before the first call", () => {
    const order = (digit: number) =>
      `(global.set $order (i32.add (i32.mul (global.get $order) (i32.const 10)) (i32.const ${digit})))`;
    const guest = createWapcGuest(
      wapcGuest(
        `(i32.store (i32.const 0) (global.get $order)) (call $response (i32.const 0) (i32.const 4)) (i32.const 1)`,
        `(global $order (mut i32) (i32.const 0))
         (func (export "wapc_init") ${order(3)}) (func (export "_initialize") ${order(2)})
         (func (export "_start") ${order(1)})`,
      ),
      guestHost(),
    );
    const answers = [0, 1].map(() => Buffer.from(guest.call("x", bytesOf("")) as Uint8Array).readUInt32LE());
    expect(answers).toEqual([123, 123]);
  });

  test("a main function that exits with 0 has only ended, any other code is the guest's end", async () => {
    const exiting = (code: number) =>
      wapcGuest(
        `(call $response (i32.const 0) (i32.const 0)) (i32.const 1)`,
        `(func (export "_start") (call $exit (i32.const ${code})))`,
        `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`,
      );
    expect(createWapcGuest(exiting(0), guestHost()).call("x", bytesOf(""))).toEqual(new Uint8Array(0));
    const stillborn = await thrownBy(() => createWapcGuest(exiting(3), guestHost()));
    expect(stillborn).toBeInstanceOf(GuestStillborn);
    expect((stillborn as GuestStillborn).end).toMatchObject({ type: "exit", exitCode: 3 });
  });

  test.each([
    ["its wasm start function", `(start $early)`],
    ["_start", `(export "_start" (func $early))`],
    ["wapc_init", `(export "wapc_init" (func $early))`],
  ])("a host call from %s is refused in plain words", async (_where, field) => {
    const module = wapcGuest(
      `(i32.const 1)`,
      `(func $early (drop (call $host_call (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
         (i32.const 0) (i32.const 0) (i32.const 0)))) ${field}`,
      `(import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))`,
    );
    const thrown = await thrownBy(() => createWapcGuest(module, guestHost()));
    expect(thrown).toBeInstanceOf(GuestStillborn);
    expect((thrown as GuestStillborn).end).toMatchObject({
      type: "fault",
      message: expect.stringContaining("a host call that has to wait while it was started"),
    });
  });

  test("a module without __guest_call is no waPC guest", () => {
    expect(() => createWapcGuest(watModule("(module)"), guestHost())).toThrow(
      expect.objectContaining({ code: "INVALID_MODULE" }),
    );
  });
});

describe("fuel", () => {
  const meters = `(global (export "__wasmatrix_fuel") (mut i32) (i32.const 1000))
    (global (export "__wasmatrix_grown") (mut i32) (i32.const 0))`;

  test("is absent without metering, and a gauge of the guest with it", () => {
    expect(createWapcGuest(echoGuest(), guestHost()).fuel).toBeUndefined();
    expect(createWapcGuest(echoGuest(meters), guestHost()).fuel).toMatchObject({ value: 1_000 });
  });

  test("a call of the host costs what the limits say, the fetch and the answer nothing", async () => {
    const guest = createWapcGuest(
      callingGuest("", "", meters),
      guestHost({ callCapability: () => Promise.resolve(bytesOf("12345")) }),
    );
    const fuel = guest.fuel!;
    fuel.value = 100_000;
    await guest.call("x", bytesOf("123"));
    const calls = 3;
    expect(100_000 - fuel.value).toBe(calls * guestLimits.fuelPerHostCall + 3 + 5);
  });

  test("a guest that loops over its host runs out of it", async () => {
    const guest = createWapcGuest(
      wapcGuest(`(loop (call $log (i32.const 0) (i32.const 1)) (br 0)) (i32.const 1)`, meters),
      guestHost(),
    );
    guest.fuel!.value = 1_000_000;
    const thrown = await thrownBy(() => guest.call("x", bytesOf("")));
    expect(guest.endOf(thrown)).toMatchObject({ type: "fuel" });
  });

  test("what starts a guest has the default fuel of a call", () => {
    const starting = echoGuest(
      `${meters} (func (export "wapc_init") (call $log (i32.const 0) (i32.const 1)))`,
    );
    const guest = createWapcGuest(starting, guestHost());
    expect(guest.fuel!.value).toBe(guestLimits.fuelDefault - guestLimits.fuelPerHostCall - 1);
  });
});
