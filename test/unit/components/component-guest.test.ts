import { beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/clock.ts";
import { decode, encode } from "../../../src/protocol/codec.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { admitComponent, type ComponentCode } from "../../../src/wasm/components/admit-component.ts";
import { createComponentGuest } from "../../../src/wasm/components/component-guest.ts";
import type { Guest, GuestHost } from "../../../src/wasm/guests/guest.ts";
import {
  buildComponent,
  componentWat,
  composedComponent,
  wildComponent,
} from "../../support/component-guests.ts";
import { bytesOf, guestHost, textOf, thrownBy } from "../../support/guest-host.ts";

const memoryBytesMax = 16 * 1024 * 1024;

const admitted = (bytes: Uint8Array) => admitComponent(bytes, memoryBytesMax, systemClock);

function called(guest: Guest, operation: string, ...args: unknown[]): Promise<string> {
  guest.fuel!.value = 10_000_000;
  return Promise.resolve(guest.call(operation, bytesOf(JSON.stringify(args)))).then(textOf);
}

/** Why a new guest of that code ends when it is called. */
async function endOf(code: ComponentCode, operation: string, host: GuestHost = guestHost()) {
  const guest = createComponentGuest(code, host);
  const thrown = await thrownBy(() => called(guest, operation));
  const { type, message } = guest.endOf(thrown);
  // Broken for good: nothing runs in it any more.
  expect(guest.endOf(await thrownBy(() => called(guest, operation)))).toMatchObject({ type, message });
  return { type, message };
}

describe("R8.1: how a component ends", () => {
  const clockLoop = `(component
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
    (core func $now (canon lower (func $clock "now")))
    (core module $m
      (import "host" "now" (func $now (result i64)))
      (func (export "ask") (loop $again (drop (call $now)) (br $again))))
    (core instance $host (export "now" (func $now)))
    (core instance $i (instantiate $m (with "host" (instance $host))))
    (func (export "ask") (canon lift (core func $i "ask"))))`;

  const exiting = `(component
    (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
    (core func $exit (canon lower (func $exit "exit")))
    (core module $m
      (import "host" "exit" (func $exit (param i32)))
      (func (export "leave") (call $exit (i32.const 1))))
    (core instance $host (export "exit" (func $exit)))
    (core instance $i (instantiate $m (with "host" (instance $host))))
    (func (export "leave") (canon lift (core func $i "leave"))))`;

  test("by asking its host without end, when its fuel is used up", async () => {
    expect(await endOf(await admitted(await componentWat(clockLoop)), "ask")).toEqual({
      type: "fuel",
      message: "the guest used up the fuel of this call",
    });
  });

  test("by exiting, with its code", async () => {
    expect(await endOf(await admitted(await componentWat(exiting)), "leave")).toEqual({
      type: "exit",
      message: "the guest exited with code 1",
    });
  });

  test("by what its host throws while it waits, although its function cannot carry an error", async () => {
    const host = guestHost({ suspend: () => Promise.reject(new Error("the call was given up")) });
    expect(await endOf(await admitted(await componentWat(wildComponent)), "wait", host)).toEqual({
      type: "fault",
      message: "the call was given up",
    });
  });

  test("R1.1: when it is given up while it waits: its stack and all it holds are let go", async () => {
    const guest = createComponentGuest(await admitted(await componentWat(wildComponent)), guestHost());
    const waiting = thrownBy(() => called(guest, "wait"));
    await Promise.resolve();
    guest.dispose?.();
    expect(String(await waiting)).toBe("Error: the instance was given up");
  });

  test("R14.1: memory is capped for all of its core modules together", async () => {
    const grower = `(core module $grower
        (memory (export "memory") 1)
        (func (export "grow") (result i32)
          (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
          (memory.size)))`;
    const two = await componentWat(`(component ${grower}
      (core instance $one (instantiate $grower)) (core instance $other (instantiate $grower))
      (func (export "one") (result u32) (canon lift (core func $one "grow")))
      (func (export "other") (result u32) (canon lift (core func $other "grow"))))`);
    const guest = createComponentGuest(await admitted(two), guestHost());
    expect([await called(guest, "one"), await called(guest, "other")]).toEqual(["128", "128"]);
  });
});

test("R2.1: a component made of two waits in the one that the other one calls", async () => {
  const host = guestHost({
    now: () => systemClock.now(),
    after(ms, callback) {
      const timer = systemClock.setTimeout(callback, ms);
      return () => systemClock.clearTimeout(timer);
    },
  });
  const guest = createComponentGuest(await admitted(await componentWat(composedComponent)), host);
  expect([await called(guest, "call", "héllo"), await called(guest, "call", "wörld")]).toEqual([
    '"héllo"',
    '"wörld"',
  ]);
});

describe("R2.1: a component in JavaScript", () => {
  let code: ComponentCode;

  beforeAll(async () => {
    const source = `
      import store from "wasi:keyvalue/store@0.2.0-draft";
      import greeter from "acme:greet/greeter@1.0.0";
      export function remember(name) {
        const bucket = store.open("");
        bucket.set(name, new Uint8Array([115, 101, 101, 110]));
        return bucket.get(name);
      }
      export function ask(name) { return greeter.hello(name); }
      export function both(point) { return { x: point.y, someThing: point.x ?? 0 }; }
      export function refuse(reason) { throw reason; }
      export const shouter = { shout(text, times) { return Array(times).fill(text.toUpperCase()); } };`;
    code = await admitted(
      await buildComponent(
        source,
        `package test:guest;
        world guest {
          import wasi:keyvalue/store@0.2.0-draft;
          import acme:greet/greeter@1.0.0;
          record point { x: option<s32>, y: u64 }
          record answer { x: u64, some-thing: s32 }
          export remember: func(name: string) -> option<list<u8>>;
          export ask: func(name: string) -> result<string, string>;
          export both: func(p: point) -> answer;
          export refuse: func(reason: string) -> result<u32, string>;
          export shouter;
        }
        interface shouter { shout: func(text: string, times: u32) -> list<string>; }
        package acme:greet@1.0.0 { interface greeter { hello: func(name: string) -> result<string, string>; } }
        package wasi:keyvalue@0.2.0-draft {
          interface store {
            variant error { no-such-store, access-denied, other(string) }
            resource bucket {
              get: func(key: string) -> result<option<list<u8>>, error>;
              set: func(key: string, value: list<u8>) -> result<_, error>;
            }
            open: func(identifier: string) -> result<bucket, error>;
          }
        }`,
      ),
    );
  });

  const operations = (host: GuestHost = guestHost()) => {
    const guest = createComponentGuest(code, host);
    return (operation: string, ...args: unknown[]) => called(guest, operation, ...args);
  };

  test("P10: takes and gives records, lists, options and 64-bit integers", async () => {
    const call = operations();
    expect([
      await call("both", { x: -1, y: 7 }),
      await call("both", { y: "9007199254740991" }),
      await call("shout", "hé", 2),
      await call("shouter_shout", "x", 0),
    ]).toEqual(['{"x":7,"someThing":-1}', '{"x":9007199254740991,"someThing":0}', '["HÉ","HÉ"]', "[]"]);
  });

  test("R13.6: refuses with its own error, and goes on", async () => {
    const guest = createComponentGuest(code, guestHost());
    const failure = await thrownBy(() => called(guest, "refuse", "not today"));
    expect(failure).toMatchObject({
      code: "GUEST_ERROR",
      message: "refuse refused: not today",
      details: { error: "not today" },
    });
    expect(await called(guest, "shout", "a", 1)).toBe('["A"]');
    expect(await thrownBy(() => called(guest, "shout", "a", -1))).toMatchObject({ code: "INVALID_REQUEST" });
    expect(await called(guest, "shout", "b", 1)).toBe('["B"]');
  });

  test("P4 R2.3: asks for key-value through its grant, suspended meanwhile", async () => {
    const asked: string[] = [];
    const host = guestHost({
      capabilityFor: () => "store",
      async callCapability(id, type, operation, payload) {
        asked.push(`${id} ${type} ${operation}`);
        expect((decode(payload).value as { key: string }).key).toBe("ada");
        return encode(operation === "get" ? { value: bytesOf("seen") } : {}, "msgpack");
      },
    });
    expect(await operations(host)("remember", "ada")).toBe(
      `{"base64":"${Buffer.from("seen").toString("base64")}"}`,
    );
    expect(asked).toEqual(["store kv set", "store kv get"]);
  });

  test("calls another component by the interface that it imports", async () => {
    const host = guestHost({
      linkedTarget: (name) => (name === "acme:greet/greeter" ? "greeter-1" : undefined),
      async beginGuestCall(target, operation, payload) {
        if (target !== "greeter-1") throw new Failure("PERMISSION_DENIED", "no");
        expect([operation, decode(payload).value]).toEqual(["greeter_hello", ["ada"]]);
        return Uint8Array.of(0xa2, 0x68, 0x69);
      },
    });
    expect(await operations(host)("ask", "ada")).toBe('"hi"');
    expect(await thrownBy(() => operations()("ask", "ada"))).toMatchObject({ code: "GUEST_ERROR" });
  });

  test("R1.1: has nothing of another life of it", async () => {
    const one = operations();
    const other = operations();
    expect([await one("shout", "x", 1), await other("shout", "y", 1)]).toEqual(['["X"]', '["Y"]']);
  });
});

describe("interfaces with a meaning of their own", () => {
  test("wasi:cli/run is a command: what it returns is its exit code", async () => {
    const runs = (status: number) => `(component
      (core module $m (func (export "run") (result i32) (i32.const ${status})))
      (core instance $i (instantiate $m))
      (func $run (result (result)) (canon lift (core func $i "run")))
      (instance $exported (export "run" (func $run)))
      (export "wasi:cli/run@0.2.3" (instance $exported)))`;
    const guest = createComponentGuest(await admitted(await componentWat(runs(0))), guestHost());
    expect([await called(guest, "run"), await called(guest, "run")]).toEqual(["", ""]);
    expect(await endOf(await admitted(await componentWat(runs(1))), "run")).toEqual({
      type: "exit",
      message: "the guest exited with code 1",
    });
  });

  test("R5.3: wasmcloud:messaging/handler takes messages", async () => {
    const source = `
      import logging from "wasi:logging/logging@0.1.0-draft";
      export const handler = {
        handleMessage({ subject, body, replyTo }) {
          if (subject === "bad") throw "not mine";
          logging.log("info", subject, String.fromCharCode(...body) + " " + replyTo);
        },
      };`;
    const wit = `package test:guest;
      world guest { import wasi:logging/logging@0.1.0-draft; export wasmcloud:messaging/handler@0.2.0; }
      package wasi:logging@0.1.0-draft {
        interface logging {
          enum level { trace, debug, info, warn, error, critical }
          log: func(level: level, context: string, message: string);
        }
      }
      package wasmcloud:messaging@0.2.0 {
        interface types {
          record broker-message { subject: string, body: list<u8>, reply-to: option<string> }
        }
        interface handler {
          use types.{broker-message};
          handle-message: func(msg: broker-message) -> result<_, string>;
        }
      }`;
    const host = guestHost();
    const guest = createComponentGuest(await admitted(await buildComponent(source, wit)), host);
    const handle = (message: Record<string, unknown>) => {
      guest.fuel!.value = 100_000_000;
      return guest.call("handle-message", encode(message, "msgpack"));
    };
    expect(await handle({ subject: "news", body: bytesOf("hello"), replyTo: "r" })).toEqual(
      new Uint8Array(0),
    );
    expect(await thrownBy(() => handle({ subject: "bad", body: bytesOf("") }))).toMatchObject({
      code: "GUEST_ERROR",
      message: "handle-message refused: not mine",
    });
    expect(host.lines).toEqual(["console: info news: hello r"]);
  });
});
