import { beforeAll, describe, expect, test } from "vitest";
import { Failure } from "../../../src/protocol/errors.ts";
import type { ComponentCode } from "../../../src/wasm/components/admit-component.ts";
import { unsuppliedFunctions } from "../../../src/wasm/components/world/component-world.ts";
import type { WitFunction } from "../../../src/wasm/components/wit-type.ts";
import type { GuestHost } from "../../../src/wasm/guests/guest.ts";
import { admitted, callComponent, lifeOf, providedHost } from "../../support/component-host.ts";
import { thrownBy } from "../../support/guest-host.ts";

const greeter = `package acme:greet@1.0.0 {
  interface greeter {
    record person { first-name: string, age: option<u8>, tags: list<string>, photo: list<u8> }
    variant refusal { unknown(string), busy }
    hello: func(who: person) -> result<string, refusal>;
    shout: func(text: string) -> result<string, string>;
    count: func() -> u64;
  }
}`;

const caller = {
  wit: `package test:caller;
world caller {
  import acme:greet/greeter@1.0.0;
  export greet: func(name: string) -> result<string, string>;
  export shout: func(text: string) -> result<string, string>;
  export count: func() -> u64;
}
${greeter}`,
  source: `
import greeter from "acme:greet/greeter@1.0.0";
export function greet(firstName) {
  try {
    return greeter.hello({ firstName, age: null, tags: ["a", "b"], photo: new Uint8Array([1, 2, 255]) });
  } catch (error) {
    throw JSON.stringify(error.payload ?? error);
  }
}
export const shout = (text) => greeter.shout(text);
export const count = () => greeter.count();`,
};

const callee = {
  wit: `package test:callee;
world callee { export acme:greet/greeter@1.0.0; }
${greeter}`,
  source: `
let calls = 0;
export const greeter = {
  hello({ firstName, age, tags, photo }) {
    calls += 1;
    if (firstName === "Nobody") throw { tag: "unknown", val: firstName };
    return [firstName, age, tags.join("+"), photo.length + ":" + photo[2]].join(" ");
  },
  shout(text) { if (text === "") throw "say something"; return text.toUpperCase(); },
  count: () => calls + 9000000000,
};`,
};

describe("an interface of another component", () => {
  let codes: { caller: ComponentCode; callee: ComponentCode };
  beforeAll(async () => {
    codes = {
      caller: await admitted(caller.source, caller.wit),
      callee: await admitted(callee.source, callee.wit),
    };
  });

  /** The one calls the other as over the bus. */
  function linked(parts: Partial<GuestHost> = {}) {
    const other = lifeOf(codes.callee, providedHost({}));
    const calls: string[] = [];
    const guest = lifeOf(
      codes.caller,
      providedHost(
        {},
        {
          linkedTarget: (name) => (name === "acme:greet/greeter" ? "greeter-1" : undefined),
          beginGuestCall: async (target, operation, payload) => {
            calls.push(`${target} ${operation}`);
            return other.call(operation, payload);
          },
          ...parts,
        },
      ),
    );
    return { guest, calls };
  }

  test("P10: is answered by the guest that a grant links to it, whatever the values are", async () => {
    const { guest, calls } = linked();
    expect([
      await callComponent(guest, "greet", "Ann"),
      await callComponent(guest, "shout", "hey"),
      await callComponent(guest, "count"),
    ]).toEqual(["Ann  a+b 3:255", "HEY", 9_000_000_001]);
    expect(calls).toEqual(["greeter-1 greeter_hello", "greeter-1 greeter_shout", "greeter-1 greeter_count"]);
  });

  test("the other guest's own error is the caller's, in its type", async () => {
    const { guest } = linked();
    const errors = [
      await thrownBy(() => callComponent(guest, "greet", "Nobody")),
      await thrownBy(() => callComponent(guest, "shout", "")),
    ];
    expect(errors.map((error) => (error as Failure).details)).toEqual([
      { error: '{"tag":"unknown","val":"Nobody"}' },
      { error: "say something" },
    ]);
  });

  test("any other failure is an error where it can be told in words, else the end of the caller", async () => {
    const beginGuestCall = () => Promise.reject(new Failure("TIMEOUT", "no answer in 5 s"));
    const { guest } = linked({ beginGuestCall });
    expect(await thrownBy(() => callComponent(guest, "shout", "hey"))).toMatchObject({
      code: "GUEST_ERROR",
      details: { error: "TIMEOUT: no answer in 5 s" },
    });
    for (const operation of ["greet", "count"]) {
      const { guest: ending } = linked({ beginGuestCall });
      const args = operation === "greet" ? ["Ann"] : [];
      const thrown = await thrownBy(() => callComponent(ending, operation, ...args));
      const name = operation === "greet" ? "hello" : "count";
      expect(ending.endOf(thrown)).toMatchObject({
        type: "fault",
        message: `the call "greeter_${name}" of another guest failed: TIMEOUT: no answer in 5 s`,
      });
    }
  });

  // R2.5, P4
  test("without a grant nothing is called, and the error names what is missing", async () => {
    const { guest, calls } = linked({ linkedTarget: () => undefined });
    const thrown = (await thrownBy(() => callComponent(guest, "shout", "hey"))) as Failure;
    expect([thrown.details, calls]).toEqual([
      { error: 'PERMISSION_DENIED: no grant links the interface "acme:greet/greeter" to a guest' },
      [],
    ]);
  });
});

// R14.1, P3
test("what our objects and classes inherit, and what is not for guests, cannot be imported", () => {
  const type: WitFunction = { parameters: [] };
  const wanted = new Map([
    [
      "wasi:io/poll",
      new Map(
        [
          "poll",
          "[method]pollable.ready",
          "[method]pollable.block",
          "[method]pollable.constructor",
          "to-string",
        ]
          .concat([
            "[static]pollable.constructor",
            "[static]pollable.call",
            "[constructor]pollable",
            "[static]x.y",
          ])
          .map((name) => [name, type]),
      ),
    ],
    [
      "wasi:http/types",
      new Map(["[constructor]fields", "[static]fields.from-list", "constructor"].map((n) => [n, type])),
    ],
    ["acme:none/such", new Map([["f", type]])],
  ]);
  expect(unsuppliedFunctions(wanted)).toEqual([
    "wasi:io/poll#[method]pollable.constructor",
    "wasi:io/poll#to-string",
    "wasi:io/poll#[static]pollable.constructor",
    "wasi:io/poll#[static]pollable.call",
    "wasi:io/poll#[constructor]pollable",
    "wasi:io/poll#[static]x.y",
    "wasi:http/types#constructor",
    "acme:none/such#f",
  ]);
});
